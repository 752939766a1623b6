package atlas

import (
	"errors"
	"fmt"
	"math/big"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Decimal is an exact decimal number: coefficient × 10^exponent. The zero
// value is 0. Missing numbers are nil pointers, never zero.
type Decimal struct {
	coef int64
	exp  int16
}

const maxExponent = 40

var errDecimal = errors.New("not a decimal number")

// ParseDecimal reads plain (1170, -0.5) and scientific (2.5e9) notation.
func ParseDecimal(s string) (Decimal, error) {
	mantissa, power := s, 0
	if i := strings.IndexAny(s, "eE"); i >= 0 {
		var err error
		if power, err = strconv.Atoi(s[i+1:]); err != nil || power > maxExponent || power < -maxExponent {
			return Decimal{}, fmt.Errorf("parse %.40q: exponent: %w", s, errDecimal)
		}
		mantissa = s[:i]
	}
	whole, fraction, dotted := strings.Cut(mantissa, ".")
	if dotted && fraction == "" || strings.TrimLeft(whole, "+-") == "" || len(fraction) > maxExponent {
		return Decimal{}, fmt.Errorf("parse %.40q: %w", s, errDecimal)
	}
	digits := whole + fraction
	exp := power - len(fraction)
	for len(digits) > 1 && strings.HasSuffix(digits, "0") && digits[len(digits)-2] != '-' && digits[len(digits)-2] != '+' {
		digits, exp = digits[:len(digits)-1], exp+1
	}
	coef, err := strconv.ParseInt(digits, 10, 64)
	if err != nil {
		return Decimal{}, fmt.Errorf("parse %.40q: %w", s, errDecimal)
	}
	return normal(coef, exp)
}

func normal(coef int64, exp int) (Decimal, error) {
	if coef == 0 {
		return Decimal{}, nil
	}
	for coef%10 == 0 {
		coef, exp = coef/10, exp+1
	}
	if exp > maxExponent || exp < -maxExponent {
		return Decimal{}, fmt.Errorf("hold %de%d: exponent beyond %d: %w", coef, exp, maxExponent, errDecimal)
	}
	return Decimal{coef: coef, exp: int16(exp)}, nil
}

// DecimalOf is the whole number n.
func DecimalOf(n int64) Decimal {
	d, _ := normal(n, 0) // an int64 has at most 18 trailing zeros
	return d
}

// DecimalFromRat rounds r half away from zero to the given number of decimal
// places.
func DecimalFromRat(r *big.Rat, places int) (Decimal, error) {
	return ParseDecimal(r.FloatString(places))
}

// Rat is the number as a fraction.
func (d Decimal) Rat() *big.Rat {
	power := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(max(d.exp, -d.exp))), nil)
	r := new(big.Rat).SetInt64(d.coef)
	if d.exp < 0 {
		return r.Quo(r, new(big.Rat).SetInt(power))
	}
	return r.Mul(r, new(big.Rat).SetInt(power))
}

// Sign is −1, 0 or 1.
func (d Decimal) Sign() int {
	switch {
	case d.coef < 0:
		return -1
	case d.coef > 0:
		return 1
	}
	return 0
}

// String is the number in plain notation, without an exponent.
func (d Decimal) String() string {
	s := strconv.FormatInt(d.coef, 10)
	sign := ""
	if d.coef < 0 {
		sign, s = "-", s[1:]
	}
	switch n := int(-d.exp); {
	case n <= 0:
		s += strings.Repeat("0", -n)
	case n >= len(s):
		s = "0." + strings.Repeat("0", n-len(s)) + s
	default:
		s = s[:len(s)-n] + "." + s[len(s)-n:]
	}
	return sign + s
}

// MarshalJSON writes a plain JSON number.
func (d Decimal) MarshalJSON() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalJSON reads a JSON number exactly.
func (d *Decimal) UnmarshalJSON(b []byte) error {
	if string(b) == "null" {
		return nil
	}
	v, err := ParseDecimal(string(b))
	if err == nil {
		*d = v
	}
	return err
}

// UnmarshalYAML reads an unquoted YAML number exactly.
func (d *Decimal) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind != yaml.ScalarNode || n.Tag != "!!int" && n.Tag != "!!float" {
		return fmt.Errorf("line %d: %.40q: %w", n.Line, n.Value, errDecimal)
	}
	v, err := ParseDecimal(n.Value)
	if err != nil {
		return fmt.Errorf("line %d: %w", n.Line, err)
	}
	*d = v
	return nil
}
