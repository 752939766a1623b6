package sta

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// node is an expression of $filter: it yields nil, a bool, a float64, a string, a
// time.Time, a span or a point.
type node interface {
	eval(at lookup) (any, error)
}

// lookup finds the value of a property by its path, as "Datastream/name".
type lookup func(path string) (any, error)

type (
	literal  struct{ value any }
	property struct{ path string }
	unary    struct {
		op string
		a  node
	}
	binary struct {
		op   string
		a, b node
	}
	call struct {
		name string
		args []node
	}
)

// Operators by how tightly they bind, loosest first (OData 4.0 part 2, 5.1.1.9).
var levels = [][]string{{"or"}, {"and"}, {"eq", "ne"}, {"gt", "ge", "lt", "le"}, {"add", "sub"}, {"mul", "div", "mod"}}

// parseFilter reads $filter.
func parseFilter(text string) (node, error) {
	tokens, err := lex(text)
	if err != nil {
		return nil, fmt.Errorf("$filter: %w", err)
	}
	p := &parser{tokens: tokens}
	n, err := p.level(0, 0)
	if err == nil && p.peek().kind != tokenEnd {
		err = fmt.Errorf("%.20q is left over", p.peek().text)
	}
	if err != nil {
		return nil, fmt.Errorf("$filter: %w", err)
	}
	return n, nil
}

type parser struct {
	tokens []token
	at     int
}

func (p *parser) peek() token { return p.tokens[p.at] }

func (p *parser) take() token {
	t := p.tokens[p.at]
	if t.kind != tokenEnd {
		p.at++
	}
	return t
}

func (p *parser) sign(text string) error {
	if t := p.take(); t.kind != tokenSign || t.text != text {
		return fmt.Errorf("want %q, not %.20q", text, t.text)
	}
	return nil
}

func (p *parser) level(l, depth int) (node, error) {
	if l == len(levels) {
		return p.single(depth)
	}
	a, err := p.level(l+1, depth)
	for n := 0; err == nil; n++ {
		t := p.peek()
		if t.kind != tokenName || !slices.Contains(levels[l], t.text) {
			break
		}
		if n == maxTokens { // not reached: there are no more tokens
			break
		}
		p.take()
		var b node
		if b, err = p.level(l+1, depth); err == nil {
			a = binary{t.text, a, b}
		}
	}
	return a, err
}

func (p *parser) single(depth int) (node, error) {
	if depth++; depth > maxDepth {
		return nil, fmt.Errorf("more than %d levels deep", maxDepth)
	}
	t := p.take()
	switch t.kind {
	case tokenNumber, tokenText, tokenTime, tokenPoint:
		return literal{t.value}, nil
	case tokenName:
		return p.named(t.text, depth)
	case tokenSign:
		if t.text != "(" {
			break
		}
		n, err := p.level(0, depth)
		if err != nil {
			return nil, err
		}
		return n, p.sign(")")
	}
	return nil, fmt.Errorf("%.20q where a value should be", t.text)
}

func (p *parser) named(name string, depth int) (node, error) {
	switch name {
	case "true", "false":
		return literal{name == "true"}, nil
	case "null":
		return literal{nil}, nil
	case "not":
		a, err := p.single(depth)
		return unary{"not", a}, err
	}
	if next := p.peek(); next.kind != tokenSign || next.text != "(" {
		if strings.Count(name, "/") > 6 {
			return nil, fmt.Errorf("path %.40q is too long", name)
		}
		return property{name}, nil
	}
	f, ok := functions[name]
	if !ok {
		return nil, fmt.Errorf("function %.40q is not served, want one of %s", name, strings.Join(slices.Sorted(maps.Keys(functions)), ", "))
	}
	p.take()
	c := call{name: name}
	for p.peek().text != ")" || p.peek().kind != tokenSign {
		if len(c.args) > 0 {
			if err := p.sign(","); err != nil {
				return nil, err
			}
		}
		a, err := p.level(0, depth)
		if err != nil {
			return nil, err
		}
		c.args = append(c.args, a)
	}
	p.take()
	if n := len(c.args); n < f.least || n > f.most {
		return nil, fmt.Errorf("%s takes %d values, not %d", name, f.least, n)
	}
	return c, nil
}
