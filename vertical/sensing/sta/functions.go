package sta

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"time"
	"unicode/utf8"
)

// function is one of OData's or of the standard's (18-088, table 22).
type function struct {
	least, most int // arguments
	of          func(v []any) (any, error)
}

// functions by name. All values are points, so that of the relations of geometries
// those are here that can hold for one.
var functions = map[string]function{
	"substringof": text(func(a, b string) any { return strings.Contains(b, a) }),
	"contains":    text(func(a, b string) any { return strings.Contains(a, b) }),
	"startswith":  text(func(a, b string) any { return strings.HasPrefix(a, b) }),
	"endswith":    text(func(a, b string) any { return strings.HasSuffix(a, b) }),
	"indexof":     text(indexOf),
	"concat":      text(func(a, b string) any { return a + b }),
	"substring":   {2, 3, substring},
	"length":      one(func(a string) any { return float64(len([]rune(a))) }),
	"tolower":     one(func(a string) any { return strings.ToLower(a) }),
	"toupper":     one(func(a string) any { return strings.ToUpper(a) }),
	"trim":        one(func(a string) any { return strings.TrimSpace(a) }),
	"round":       rounded(math.Round), "floor": rounded(math.Floor), "ceiling": rounded(math.Ceil),
	"year": dated(time.Time.Year), "month": dated(func(t time.Time) int { return int(t.Month()) }), "day": dated(time.Time.Day),
	"hour": dated(time.Time.Hour), "minute": dated(time.Time.Minute), "second": dated(time.Time.Second),
	"fractionalseconds":  moment(func(t time.Time) any { return float64(t.Nanosecond()) / 1e9 }),
	"date":               moment(func(t time.Time) any { return t.Format(time.DateOnly) }),
	"time":               moment(func(t time.Time) any { return t.Format(time.TimeOnly) }),
	"totaloffsetminutes": moment(func(time.Time) any { return 0.0 }), // all is told in UTC
	"now":                constant(func() time.Time { return time.Now().UTC() }),
	"mindatetime":        constant(func() time.Time { return time.Unix(0, 0).UTC() }),
	"maxdatetime":        constant(func() time.Time { return time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC) }),
	"geo.distance":       {2, 2, distance},
	"geo.intersects":     relation(meets),
	"st_intersects":      relation(meets),
	"st_within":          relation(meets),
	"st_contains":        relation(meets),
	"st_equals": relation(func(a, b any) (bool, error) {
		if _, ok := b.(polygon); ok {
			return false, nil
		}
		return meets(a, b)
	}),
	"st_disjoint": relation(func(a, b any) (bool, error) { in, err := meets(a, b); return !in, err }),
}

func text(f func(a, b string) any) function {
	return function{2, 2, func(v []any) (any, error) {
		a, ok1 := v[0].(string)
		b, ok2 := v[1].(string)
		if !ok1 || !ok2 {
			return nil, fmt.Errorf("%v and %v, want texts", v[0], v[1])
		}
		return f(a, b), nil
	}}
}

func one(f func(a string) any) function {
	return function{1, 1, func(v []any) (any, error) {
		a, ok := v[0].(string)
		if !ok {
			return nil, fmt.Errorf("%v, want a text", v[0])
		}
		return f(a), nil
	}}
}

func rounded(f func(float64) float64) function {
	return function{1, 1, func(v []any) (any, error) {
		a, ok := v[0].(float64)
		if !ok {
			return nil, fmt.Errorf("%v, want a number", v[0])
		}
		return f(a), nil
	}}
}

func moment(f func(time.Time) any) function {
	return function{1, 1, func(v []any) (any, error) {
		s, ok := timed(v[0]).(span)
		if !ok {
			return nil, fmt.Errorf("%v, want a time", v[0])
		}
		return f(s.from.UTC()), nil
	}}
}

func dated(f func(time.Time) int) function {
	return moment(func(t time.Time) any { return float64(f(t)) })
}

func constant(f func() time.Time) function {
	return function{0, 0, func([]any) (any, error) { return f(), nil }}
}

func relation(f func(a, b any) (bool, error)) function {
	return function{2, 2, func(v []any) (any, error) {
		in, err := f(v[0], v[1])
		return in, err
	}}
}

// indexOf is at which character of a text another begins, -1 where it does not.
func indexOf(a, b string) any {
	i := strings.Index(a, b)
	if i < 0 {
		return -1.0
	}
	return float64(utf8.RuneCountInString(a[:i]))
}

// substring is what of a text begins at a character, of so many where that is said.
func substring(v []any) (any, error) {
	a, ok := v[0].(string)
	from, ok1 := v[1].(float64)
	n := math.Inf(1)
	ok2 := true
	if len(v) == 3 {
		n, ok2 = v[2].(float64)
	}
	if !ok || !ok1 || !ok2 || !(from >= 0) || !(n >= 0) {
		return nil, errors.New("want a text, where it begins, and how long it is")
	}
	r := []rune(a)
	begin := min(from, float64(len(r)))
	return string(r[int(begin):int(min(begin+n, float64(len(r))))]), nil
}

// distance is in degrees, the unit of the places, as the standard has it.
func distance(v []any) (any, error) {
	a, ok1 := v[0].(point)
	b, ok2 := v[1].(point)
	if !ok1 || !ok2 {
		return nil, errors.New("want two places")
	}
	return math.Hypot(a.lon-b.lon, a.lat-b.lat), nil
}
