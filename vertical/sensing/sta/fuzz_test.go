package sta

import (
	"errors"
	"net/url"
	"testing"
)

// Whatever $filter is, it is parsed or refused, and what is parsed can be asked.
func FuzzFilter(f *testing.F) {
	for _, s := range []string{
		"result gt 5 and (result lt 10 or not (id eq 3))", "geo.distance(location, geography'POINT (1 2)') lt 0.5", "name eq 'it''s'",
		"phenomenonTime ge 2026-03-27T10:00:00Z", "result add 5 mul -3 div 2 mod 4 ge 1e9", "substringof('a',tolower(name))", "year(phenomenonTime) eq 2026", "((((", "'", "a/b/c eq null",
	} {
		f.Add(s)
	}
	values := map[string]any{"result": 1.5, "name": "x", "phenomenonTime": "2026-03-27T10:00:00.000Z", "location": point{1, 2}, "ok": true, "nothing": nil}
	at := func(path string) (any, error) {
		if v, ok := values[path]; ok {
			return v, nil
		}
		return nil, errors.New("no such property")
	}
	f.Fuzz(func(_ *testing.T, text string) {
		if n, err := parseFilter(text); err == nil {
			_, _ = holds(n, at)
			s := scope{0, 1 << 40}
			s.narrow(n)
		}
	})
}

func FuzzOptions(f *testing.F) {
	for _, s := range []string{"$expand=Datastreams($top=1;$expand=Observations($filter=result gt 1)),Locations", "$orderby=name desc,id&$top=3&$skip=2&$select=a,b&$count=true", "$expand=A/B/C($top=2)"} {
		f.Add(s)
	}
	f.Fuzz(func(_ *testing.T, text string) {
		if v, err := url.ParseQuery(text); err == nil {
			_, _ = parseOptions(v)
		}
	})
}
