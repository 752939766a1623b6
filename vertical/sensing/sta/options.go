package sta

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// Limits of a request.
const (
	defaultTop = 100
	maxTop     = 10_000
	maxSkip    = 1_000_000
	maxExpand  = 4      // levels
	maxInner   = 20_000 // entities of an answer, those within others included
)

// options are the query options of a collection.
type options struct {
	filter  node
	order   []order
	top     int
	topSet  bool
	skip    int
	cursor  string // of observations
	count   bool
	fields  []string
	expand  []expand
	arrays  bool // resultFormat=dataArray
	address url.Values
}

type order struct {
	path string
	desc bool
}

type expand struct {
	name string
	options
}

// parseOptions reads the options of a request.
func parseOptions(v url.Values) (options, error) {
	o := options{top: defaultTop, address: v}
	for name, values := range v {
		if name == "token" {
			continue
		}
		if len(values) != 1 {
			return o, fmt.Errorf("%s is there %d times", name, len(values))
		}
		if err := o.set(name, values[0], 0); err != nil {
			return o, err
		}
	}
	return o, nil
}

func (o *options) set(name, value string, depth int) (err error) {
	switch name {
	case "$filter":
		o.filter, err = parseFilter(value)
	case "$orderby":
		o.order, err = parseOrder(value)
	case "$top":
		o.top, err = whole(name, value, maxTop)
		o.topSet = true
	case "$skip":
		o.skip, err = whole(name, value, maxSkip)
	case "$skiptoken":
		o.cursor = value
	case "$count":
		if o.count = value == "true"; value != "true" && value != "false" {
			err = fmt.Errorf("$count=%.20q: want true or false", value)
		}
	case "$select":
		o.fields = strings.Split(value, ",")
		for i := range o.fields {
			o.fields[i] = strings.TrimSpace(o.fields[i])
		}
	case "$expand":
		o.expand, err = parseExpand(value, depth+1)
	case "$resultFormat":
		if o.arrays = value == "dataArray"; !o.arrays {
			err = fmt.Errorf("$resultFormat=%.20q: want dataArray", value)
		}
	default:
		err = fmt.Errorf("option %.40q is not known", name)
	}
	return err
}

// whole reads a number; one that is too large is brought down to what is served.
func whole(name, value string, most int) (int, error) {
	n, err := strconv.Atoi(value)
	if err != nil || n < 0 {
		return 0, fmt.Errorf("%s=%.20q: want a number from 0", name, value)
	}
	return min(n, most), nil
}

func parseOrder(text string) (out []order, err error) {
	for part := range strings.SplitSeq(text, ",") {
		path, how, _ := strings.Cut(strings.TrimSpace(part), " ")
		if path == "" || how != "" && how != "asc" && how != "desc" || len(out) == 8 {
			return nil, fmt.Errorf("$orderby=%.60q: want PROPERTY asc or PROPERTY desc, at most eight", text)
		}
		out = append(out, order{path, how == "desc"})
	}
	return out, nil
}

// parseExpand reads NAME(OPTION;OPTION),NAME/NAME.
func parseExpand(text string, depth int) (out []expand, err error) {
	if depth > maxExpand {
		return nil, fmt.Errorf("$expand is more than %d levels deep", maxExpand)
	}
	if len(text) > maxExpression {
		return nil, fmt.Errorf("$expand of %d bytes, want at most %d", len(text), maxExpression)
	}
	parts, err := split(text, ',')
	if err != nil {
		return nil, fmt.Errorf("$expand: %w", err)
	}
	for _, part := range parts {
		x, err := parseOne(strings.TrimSpace(part), depth)
		if err != nil {
			return nil, err
		}
		// Both Datastreams/Sensor and Datastreams/Observations may be there.
		if i := slices.IndexFunc(out, func(o expand) bool { return o.name == x.name }); i >= 0 {
			out[i].expand = append(out[i].expand, x.expand...)
			continue
		}
		out = append(out, x)
	}
	return out, nil
}

func parseOne(part string, depth int) (x expand, err error) {
	x.top, x.address = defaultTop, url.Values{}
	head, inner := part, ""
	if i := strings.IndexByte(part, '('); i >= 0 {
		if !strings.HasSuffix(part, ")") {
			return x, fmt.Errorf("$expand: %.40q does not end with )", part)
		}
		head, inner = part[:i], part[i+1:len(part)-1]
	}
	name, rest, deeper := strings.Cut(head, "/")
	x.name = name
	if name == "" {
		return x, errors.New("$expand: a name is missing")
	}
	if deeper {
		if inner != "" {
			rest += "(" + inner + ")"
		}
		x.address.Set("$expand", rest)
		x.expand, err = parseExpand(rest, depth+1)
		return x, err
	}
	opts, err := split(inner, ';')
	if err != nil {
		return x, fmt.Errorf("$expand: %w", err)
	}
	for _, opt := range opts {
		if opt == "" {
			continue
		}
		name, value, _ := strings.Cut(strings.TrimSpace(opt), "=")
		if err := x.set(name, value, depth); err != nil {
			return x, fmt.Errorf("$expand of %.40s: %w", x.name, err)
		}
		x.address.Set(name, value)
	}
	return x, nil
}

// split cuts at a separator that is in no parentheses and in no text.
func split(s string, at byte) (out []string, err error) {
	open, text, from := 0, false, 0
	for i := range len(s) {
		switch c := s[i]; {
		case c == '\'':
			text = !text
		case text:
		case c == '(':
			open++
		case c == ')':
			open--
		case c == at && open == 0:
			out = append(out, s[from:i])
			from = i + 1
		}
		if open < 0 {
			break
		}
	}
	if open != 0 || text {
		return nil, fmt.Errorf("parentheses or quotes of %.40q do not match", s)
	}
	return append(out, s[from:]), nil
}
