package sta

import (
	"cmp"
	"fmt"
	"math"
	"strings"
	"time"
)

// span is a time with an end.
type span struct{ from, to time.Time }

func (l literal) eval(lookup) (any, error)     { return l.value, nil }
func (p property) eval(at lookup) (any, error) { return at(p.path) }

func (u unary) eval(at lookup) (any, error) {
	v, err := u.a.eval(at)
	if err != nil || v == nil {
		return nil, err
	}
	b, ok := v.(bool)
	if !ok {
		return nil, fmt.Errorf("not of %v, which is neither true nor false", v)
	}
	return !b, nil
}

func (b binary) eval(at lookup) (any, error) {
	x, err := b.a.eval(at)
	if err != nil {
		return nil, err
	}
	if b.op == "and" && x == false || b.op == "or" && x == true {
		return x, nil
	}
	y, err := b.b.eval(at)
	if err != nil {
		return nil, err
	}
	switch b.op {
	case "and", "or":
		p, ok1 := x.(bool)
		q, ok2 := y.(bool)
		if !ok1 && x != nil || !ok2 && y != nil {
			return nil, fmt.Errorf("%s of %v and %v: want true or false", b.op, x, y)
		}
		if b.op == "and" {
			return p && q, nil
		}
		return p || q, nil
	case "eq", "ne", "gt", "ge", "lt", "le":
		return compare(b.op, x, y)
	}
	return arithmetic(b.op, x, y)
}

// compare compares what is comparable; what is not there is equal to null only.
func compare(op string, x, y any) (any, error) {
	if x == nil || y == nil {
		switch op {
		case "eq":
			return x == nil && y == nil, nil
		case "ne":
			return (x == nil) != (y == nil), nil
		}
		return false, nil
	}
	x, y = alike(x, y)
	var c int
	switch a := x.(type) {
	case float64:
		b, ok := y.(float64)
		if !ok {
			return nil, mixed(x, y)
		}
		c = cmp.Compare(a, b)
	case string:
		b, ok := y.(string)
		if !ok {
			return nil, mixed(x, y)
		}
		c = strings.Compare(a, b)
	case span:
		b, ok := y.(span)
		if !ok {
			return nil, mixed(x, y)
		}
		return compareSpans(op, a, b), nil
	case bool:
		b, ok := y.(bool)
		if !ok || op != "eq" && op != "ne" {
			return nil, mixed(x, y)
		}
		return (a == b) == (op == "eq"), nil
	default:
		return nil, fmt.Errorf("%v cannot be compared", x)
	}
	return map[string]bool{"eq": c == 0, "ne": c != 0, "gt": c > 0, "ge": c >= 0, "lt": c < 0, "le": c <= 0}[op], nil
}

// compareSpans compares times: one is before another when it ends before that
// begins.
func compareSpans(op string, a, b span) bool {
	switch op {
	case "eq":
		return a.from.Equal(b.from) && a.to.Equal(b.to)
	case "ne":
		return !a.from.Equal(b.from) || !a.to.Equal(b.to)
	case "lt":
		return a.to.Before(b.from)
	case "le":
		return !a.to.After(b.from)
	case "gt":
		return a.from.After(b.to)
	}
	return !a.from.Before(b.to)
}

func mixed(x, y any) error { return fmt.Errorf("%v and %v cannot be compared", x, y) }

// alike makes times of texts where the other is a time, and spans of times.
func alike(x, y any) (any, any) {
	_, tx := x.(time.Time)
	_, ty := y.(time.Time)
	_, sx := x.(span)
	_, sy := y.(span)
	if tx || ty || sx || sy {
		return timed(x), timed(y)
	}
	return x, y
}

func timed(v any) any {
	switch t := v.(type) {
	case time.Time:
		return span{t, t}
	case string:
		from, to, _ := strings.Cut(t, "/")
		a, err := time.Parse(time.RFC3339Nano, from)
		if err != nil {
			return v
		}
		b := a
		if to != "" {
			if b, err = time.Parse(time.RFC3339Nano, to); err != nil {
				return v
			}
		}
		return span{a, b}
	}
	return v
}

func arithmetic(op string, x, y any) (any, error) {
	if x == nil || y == nil {
		return nil, nil //nolint:nilnil // null is a value of OData
	}
	a, ok1 := x.(float64)
	b, ok2 := y.(float64)
	if !ok1 || !ok2 {
		return nil, fmt.Errorf("%s of %v and %v, want numbers", op, x, y)
	}
	switch op {
	case "add":
		return a + b, nil
	case "sub":
		return a - b, nil
	case "mul":
		return a * b, nil
	case "mod":
		return math.Mod(a, b), nil
	}
	return a / b, nil
}

// function is one of OData's.
type function struct {
	args int
	of   func(v []any) (any, error)
}

var functions map[string]function

func init() {
	text := func(f func(a, b string) any) function {
		return function{2, func(v []any) (any, error) {
			a, ok1 := v[0].(string)
			b, ok2 := v[1].(string)
			if !ok1 || !ok2 {
				return nil, fmt.Errorf("%v and %v, want texts", v[0], v[1])
			}
			return f(a, b), nil
		}}
	}
	one := func(f func(a string) any) function {
		return function{1, func(v []any) (any, error) {
			a, ok := v[0].(string)
			if !ok {
				return nil, fmt.Errorf("%v, want a text", v[0])
			}
			return f(a), nil
		}}
	}
	rounded := func(f func(float64) float64) function {
		return function{1, func(v []any) (any, error) {
			a, ok := v[0].(float64)
			if !ok {
				return nil, fmt.Errorf("%v, want a number", v[0])
			}
			return f(a), nil
		}}
	}
	dated := func(f func(time.Time) int) function {
		return function{1, func(v []any) (any, error) {
			s, ok := timed(v[0]).(span)
			if !ok {
				return nil, fmt.Errorf("%v, want a time", v[0])
			}
			return float64(f(s.from.UTC())), nil
		}}
	}
	functions = map[string]function{
		"substringof": text(func(a, b string) any { return strings.Contains(b, a) }),
		"contains":    text(func(a, b string) any { return strings.Contains(a, b) }),
		"startswith":  text(func(a, b string) any { return strings.HasPrefix(a, b) }),
		"endswith":    text(func(a, b string) any { return strings.HasSuffix(a, b) }),
		"indexof":     text(func(a, b string) any { return float64(strings.Index(a, b)) }),
		"concat":      text(func(a, b string) any { return a + b }),
		"length":      one(func(a string) any { return float64(len([]rune(a))) }),
		"tolower":     one(func(a string) any { return strings.ToLower(a) }),
		"toupper":     one(func(a string) any { return strings.ToUpper(a) }),
		"trim":        one(func(a string) any { return strings.TrimSpace(a) }),
		"round":       rounded(math.Round), "floor": rounded(math.Floor), "ceiling": rounded(math.Ceil),
		"year": dated(time.Time.Year), "month": dated(func(t time.Time) int { return int(t.Month()) }), "day": dated(time.Time.Day),
		"hour": dated(time.Time.Hour), "minute": dated(time.Time.Minute), "second": dated(time.Time.Second),
		"geo.distance": {2, distance},
	}
}

// distance is in degrees, the unit of the places, as the standard has it.
func distance(v []any) (any, error) {
	a, ok1 := v[0].(point)
	b, ok2 := v[1].(point)
	if !ok1 || !ok2 {
		return nil, fmt.Errorf("geo.distance of %v and %v, want places", v[0], v[1])
	}
	return math.Hypot(a.lon-b.lon, a.lat-b.lat), nil
}

func (c call) eval(at lookup) (any, error) {
	values := make([]any, len(c.args))
	for i, a := range c.args {
		v, err := a.eval(at)
		if err != nil {
			return nil, err
		}
		if v == nil {
			return nil, nil //nolint:nilnil // null is a value of OData
		}
		values[i] = v
	}
	v, err := functions[c.name].of(values)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", c.name, err)
	}
	return v, nil
}

// holds reports whether a filter selects; one that yields null does not.
func holds(n node, at lookup) (bool, error) {
	v, err := n.eval(at)
	if err != nil || v == nil {
		return false, err
	}
	b, ok := v.(bool)
	if !ok {
		return false, fmt.Errorf("$filter yields %v, which is neither true nor false", v)
	}
	return b, nil
}
