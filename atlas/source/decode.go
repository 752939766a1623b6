package source

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"slices"
	"strings"

	"github.com/grange-network/grange/atlas"
)

// decode reads exactly one JSON value. Anything else is drift, a body that ends
// early included.
func decode(body []byte, into any) error {
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.UseNumber()
	if err := dec.Decode(into); err != nil {
		return fmt.Errorf("decode answer: %w: %w", ErrDrift, err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return fmt.Errorf("decode answer: more than one value: %w", ErrDrift)
	}
	return nil
}

// object is a JSON object whose fields are taken one by one, so that those
// nobody knew of can be reported.
type object map[string]json.RawMessage

// unknown lists the fields beyond the known ones.
func (o object) unknown(known ...string) []string {
	var all []string
	for k := range o {
		if !slices.Contains(known, k) {
			all = append(all, k)
		}
	}
	slices.Sort(all)
	return all
}

// has reports whether the field is there and not null.
func (o object) has(name string) bool {
	raw, ok := o[name]
	return ok && string(raw) != "null"
}

// take decodes a field that must be there.
func (o object) take(name string, into any) error {
	if !o.has(name) {
		return fmt.Errorf("field %q is missing: %w", name, ErrDrift)
	}
	if err := decode(o[name], into); err != nil {
		return fmt.Errorf("field %q: %w", name, err)
	}
	return nil
}

func (o object) text(name string) (string, error) {
	var s string
	err := o.take(name, &s)
	return s, err
}

// number takes a field that must be a number.
func (o object) number(name string) (atlas.Decimal, error) {
	var n json.Number
	if err := o.take(name, &n); err != nil {
		return atlas.Decimal{}, err
	}
	d, err := decimal(n)
	if err != nil {
		return d, fmt.Errorf("field %q: %w", name, err)
	}
	return d, nil
}

// decimal keeps n exactly, or to nine places when it has more digits than fit.
func decimal(n json.Number) (atlas.Decimal, error) {
	if d, err := atlas.ParseDecimal(n.String()); err == nil {
		return d, nil
	}
	if len(n) > 64 || strings.ContainsAny(n.String(), "eE") { // an exponent would make SetString work hard
		return atlas.Decimal{}, fmt.Errorf("number %.20q: %w", n, ErrDrift)
	}
	r, ok := new(big.Rat).SetString(n.String())
	if !ok {
		return atlas.Decimal{}, fmt.Errorf("number %.20q: %w", n, ErrDrift)
	}
	for _, places := range []int{9, 6, 3, 0} {
		if d, err := atlas.DecimalFromRat(r, places); err == nil {
			return d, nil
		}
	}
	return atlas.Decimal{}, fmt.Errorf("number %.20q is too large: %w", n, ErrDrift)
}
