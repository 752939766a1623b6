package sta

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

// many are the values of a path that leads to several entities: a comparison holds
// when it holds for one of them.
type many []any

// lift applies f to values, of many to each.
func lift(v []any, f func(v []any) (any, error)) (any, error) {
	for i, x := range v {
		all, ok := x.(many)
		if !ok {
			continue
		}
		out := many{}
		for _, one := range all {
			with := slices.Clone(v)
			with[i] = one
			y, err := lift(with, f)
			if err != nil {
				return nil, err
			}
			if more, ok := y.(many); ok {
				out = append(out, more...)
			} else {
				out = append(out, y)
			}
			if len(out) > maxMany {
				return nil, fmt.Errorf("more than %d values of paths to compare", maxMany)
			}
		}
		return out, nil
	}
	return f(v)
}

// maxMany bounds what a comparison looks at.
const maxMany = 10_000

// some is whether one of many is true; what is single it leaves.
func some(v any) any {
	if all, ok := v.(many); ok {
		return slices.Contains(all, any(true))
	}
	return v
}

// span is a time with an end.
type span struct{ from, to time.Time }

func (l literal) eval(lookup) (any, error)     { return l.value, nil }
func (p property) eval(at lookup) (any, error) { return at(p.path) }

func (u unary) eval(at lookup) (any, error) {
	v, err := u.a.eval(at)
	v = some(v)
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
	logic := b.op == "and" || b.op == "or"
	if logic {
		x = some(x)
	}
	if b.op == "and" && x == false || b.op == "or" && x == true {
		return x, nil
	}
	y, err := b.b.eval(at)
	if err != nil {
		return nil, err
	}
	if logic {
		y = some(y)
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
		v, err := lift([]any{x, y}, func(v []any) (any, error) { return compare(b.op, v[0], v[1]) })
		return some(v), err
	}
	return lift([]any{x, y}, func(v []any) (any, error) { return arithmetic(b.op, v[0], v[1]) })
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
			if a, err = time.Parse(time.DateOnly, t); err != nil {
				return v
			}
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
	if s, ok := timed(x).(span); ok {
		if d, ok := y.(time.Duration); ok && (op == "add" || op == "sub") {
			if op == "sub" {
				d = -d
			}
			return s.from.Add(d), nil
		}
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
	v, err := lift(values, functions[c.name].of)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", c.name, err)
	}
	return v, nil
}

// holds reports whether a filter selects; one that yields null does not.
func holds(n node, at lookup) (bool, error) {
	v, err := n.eval(at)
	v = some(v)
	if err != nil || v == nil {
		return false, err
	}
	b, ok := v.(bool)
	if !ok {
		return false, fmt.Errorf("it yields %v, which is neither true nor false", v)
	}
	return b, nil
}
