package sta

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

var errInner = fmt.Errorf("more than %d entities within each other: give $expand a $top", maxInner)

// document is an entity with what was asked for within it.
func (q *request) document(ctx context.Context, e *entity, o *options) (map[string]any, error) {
	if q.inner++; q.inner > maxInner {
		return nil, bad(errInner)
	}
	q.sell(e)
	out := map[string]any{"@iot.id": e.id, "@iot.selfLink": q.root + "/" + e.path()}
	for name, v := range e.says {
		out[name] = v
	}
	for name := range links[e.set] {
		out[name+"@iot.navigationLink"] = q.root + "/" + e.path() + "/" + name
	}
	if len(o.fields) > 0 {
		if err := pick(e, out, o.fields); err != nil {
			return nil, bad(err)
		}
	}
	for i := range o.expand {
		if err := q.expand(ctx, e, &o.expand[i], out); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// pick keeps what $select names.
func pick(e *entity, out map[string]any, fields []string) error {
	keep := map[string]bool{}
	for _, f := range fields {
		name := f
		switch _, isLink := links[e.set][f]; {
		case f == "id" || f == "@iot.id":
			name = "@iot.id"
		case isLink:
			name = f + "@iot.navigationLink"
		}
		if _, ok := out[name]; !ok {
			return fmt.Errorf("$select: %s has no %.40q", e.set, f)
		}
		keep[name] = true
	}
	for name := range out {
		if !keep[name] {
			delete(out, name)
		}
	}
	return nil
}

func (q *request) expand(ctx context.Context, e *entity, x *expand, out map[string]any) error {
	l, ok := links[e.set][x.name]
	if !ok {
		return bad(fmt.Errorf("$expand: %s has no %.40q", e.set, x.name))
	}
	if x.arrays {
		return bad(errors.New("$expand: a data array is not within an entity"))
	}
	delete(out, x.name+"@iot.navigationLink")
	if l.single {
		says, err := q.document(ctx, q.view.follow(e, l)[0], &x.options)
		out[x.name] = says
		return err
	}
	p, err := q.find(ctx, e, l.set, &x.options)
	if err != nil {
		return err
	}
	values := []any{}
	for _, one := range p.entities {
		says, err := q.document(ctx, one, &x.options)
		if err != nil {
			return err
		}
		values = append(values, says)
	}
	out[x.name] = values
	if x.count {
		out[x.name+"@iot.count"] = p.count
	}
	if p.next != "" {
		v := maps.Clone(x.address)
		v.Del("$skip")
		v.Set("$top", strconv.Itoa(x.top))
		v.Set(p.option, p.next)
		out[x.name+"@iot.nextLink"] = q.root + "/" + e.path() + "/" + x.name + "?" + v.Encode()
	}
	return nil
}

// lookup finds values of an entity and of those it leads to, by path; where a path
// leads to several entities, many values.
func (q *request) lookup(e *entity) lookup {
	return func(path string) (any, error) { return q.along(e, path, strings.Split(path, "/")) }
}

func (q *request) along(e *entity, path string, parts []string) (any, error) {
	if len(parts) == 0 {
		return nil, fmt.Errorf("%.60q is an entity, not a value", path)
	}
	l, isLink := links[e.set][parts[0]]
	if !isLink {
		return value(e, parts)
	}
	if l.set == observations {
		return nil, fmt.Errorf("%.60q: observations are filtered in their own set", path)
	}
	to := q.view.follow(e, l)
	if len(to) == 1 {
		return q.along(to[0], path, parts[1:])
	}
	var out many
	for _, x := range to {
		v, err := q.along(x, path, parts[1:])
		if err != nil {
			return nil, err
		}
		if more, ok := v.(many); ok {
			out = append(out, more...)
		} else {
			out = append(out, v)
		}
		if len(out) > maxMany {
			return nil, fmt.Errorf("%.60q leads to more than %d values", path, maxMany)
		}
	}
	return out, nil
}

// value is a property of an entity, or something within one.
func value(e *entity, path []string) (any, error) {
	switch path[0] {
	case "id", "@iot.id":
		return e.id, nil
	case "location", "feature", "observedArea":
		if e.place != nil && len(path) == 1 && e.says[path[0]] != nil {
			return *e.place, nil
		}
	}
	v, ok := e.says[path[0]]
	if !ok {
		return nil, fmt.Errorf("%s has no %.40q", e.set, path[0])
	}
	for _, name := range path[1:] {
		m, ok := v.(map[string]any)
		if !ok {
			return nil, fmt.Errorf("%s has no %.60q", e.set, strings.Join(path, "/"))
		}
		v = m[name] // what is not there is null
	}
	switch v.(type) {
	case map[string]any, []float64:
		return nil, fmt.Errorf("%.60q of %s is not a single value", strings.Join(path, "/"), e.set)
	}
	return v, nil
}

// sort orders entities in memory by properties.
func (q *request) sort(all []*entity, by []order) error {
	keys := make(map[*entity][]any, len(all))
	for _, e := range all {
		for _, o := range by {
			v, err := q.lookup(e)(o.path)
			if err != nil {
				return fmt.Errorf("$orderby: %w", err)
			}
			if all, ok := v.(many); ok {
				return fmt.Errorf("$orderby: %.60q leads to %d values, want one", o.path, len(all))
			}
			keys[e] = append(keys[e], v)
		}
	}
	slices.SortStableFunc(all, func(a, b *entity) int {
		for i, o := range by {
			c := orderValues(keys[a][i], keys[b][i])
			if o.desc {
				c = -c
			}
			if c != 0 {
				return c
			}
		}
		return 0
	})
	return nil
}

// orderValues orders two values of one property; nothing comes first.
func orderValues(a, b any) int {
	switch x := a.(type) {
	case float64:
		if y, ok := b.(float64); ok {
			return cmp.Compare(x, y)
		}
	case string:
		if y, ok := b.(string); ok {
			return strings.Compare(x, y)
		}
	}
	return cmp.Compare(fmt.Sprint(a), fmt.Sprint(b))
}

// dataArrays are observations as the standard's section 12 has them: by
// datastream, values without their names.
func (q *request) dataArrays(all []*entity, o *options) []any {
	components := []string{"id", "phenomenonTime", "resultTime", "result"}
	if len(o.fields) > 0 {
		components = o.fields
	}
	out := []any{}
	var rows []any
	for i, e := range all {
		q.sell(e)
		row := make([]any, len(components))
		for j, c := range components {
			row[j] = e.says[c]
			if c == "id" || c == "@iot.id" {
				row[j] = e.id
			}
		}
		rows = append(rows, row)
		if i+1 == len(all) || all[i+1].streams[0] != e.streams[0] {
			out = append(out, map[string]any{
				"Datastream@iot.navigationLink": fmt.Sprintf("%s/Datastreams(%d)", q.root, e.streams[0].Number),
				"components":                    components, "dataArray@iot.count": len(rows), "dataArray": rows,
			})
			rows = nil
		}
	}
	return out
}
