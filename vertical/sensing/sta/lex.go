package sta

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Limits of an expression.
const (
	maxExpression = 4096 // bytes
	maxTokens     = 512
	maxDepth      = 32
)

type tokenKind int

const (
	tokenEnd tokenKind = iota
	tokenName
	tokenNumber
	tokenText
	tokenTime
	tokenPoint
	tokenSign // ( ) ,
)

type token struct {
	kind  tokenKind
	text  string
	value any // of a literal
}

// lex cuts an expression of OData into tokens.
func lex(s string) ([]token, error) {
	if len(s) > maxExpression {
		return nil, fmt.Errorf("expression of %d bytes, want at most %d", len(s), maxExpression)
	}
	var out []token
	for {
		s = strings.TrimLeft(s, " \t")
		if s == "" {
			return append(out, token{kind: tokenEnd}), nil
		}
		if len(out) == maxTokens {
			return nil, fmt.Errorf("expression of more than %d words", maxTokens)
		}
		t, rest, err := next(s)
		if err != nil {
			return nil, err
		}
		out, s = append(out, t), rest
	}
}

func next(s string) (t token, rest string, err error) {
	switch c := s[0]; {
	case strings.IndexByte("(),", c) >= 0:
		return token{kind: tokenSign, text: s[:1]}, s[1:], nil
	case c == '\'':
		text, rest, err := quoted(s)
		return token{tokenText, text, text}, rest, err
	case c >= '0' && c <= '9' || c == '-' || c == '+':
		return number(s)
	case letter(c):
		n := 0
		for n < len(s) && (letter(s[n]) || s[n] >= '0' && s[n] <= '9' || s[n] == '/' || s[n] == '.' || s[n] == '@') {
			n++
		}
		name := s[:n]
		if (name == "geography" || name == "geometry") && strings.HasPrefix(s[n:], "'") {
			text, rest, err := quoted(s[n:])
			if err != nil {
				return t, "", err
			}
			p, err := parsePoint(text)
			return token{tokenPoint, text, p}, rest, err
		}
		return token{kind: tokenName, text: name}, s[n:], nil
	}
	return t, "", fmt.Errorf("%.20q is not understood", s)
}

func letter(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' || c == '$' || c == '@'
}

// quoted reads a text in single quotes; two of them are one of the text.
func quoted(s string) (text, rest string, err error) {
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		if s[i] != '\'' {
			b.WriteByte(s[i])
			continue
		}
		if i+1 < len(s) && s[i+1] == '\'' {
			b.WriteByte('\'')
			i++
			continue
		}
		return b.String(), s[i+1:], nil
	}
	return "", "", fmt.Errorf("text %.20q does not end", s)
}

// number reads a number or a time, which begins as one.
func number(s string) (t token, rest string, err error) {
	n := strings.IndexAny(s, " \t(),")
	if n < 0 {
		n = len(s)
	}
	word := s[:n]
	if len(word) > 10 && word[4] == '-' {
		at, err := time.Parse(time.RFC3339Nano, strings.Replace(word, " ", "+", 1))
		if err != nil {
			return t, "", fmt.Errorf("time %.40q: want it as 2026-03-27T12:00:00Z", word)
		}
		return token{tokenTime, word, at}, s[n:], nil
	}
	f, err := strconv.ParseFloat(word, 64)
	if err != nil {
		return t, "", fmt.Errorf("number %.40q is none", word)
	}
	return token{tokenNumber, word, f}, s[n:], nil
}

// point is a place in degrees.
type point struct{ lon, lat float64 }

// parsePoint reads POINT(LON LAT) of well-known text; a comma between them is
// taken too, since examples of the standard have it.
func parsePoint(text string) (p point, err error) {
	s := strings.ToUpper(strings.TrimSpace(text))
	s, ok := strings.CutPrefix(s, "POINT")
	s = strings.TrimSpace(s)
	if !ok || !strings.HasPrefix(s, "(") || !strings.HasSuffix(s, ")") {
		return p, fmt.Errorf("geography %.40q: want POINT(LON LAT)", text)
	}
	f := strings.FieldsFunc(s[1:len(s)-1], func(r rune) bool { return r == ' ' || r == ',' })
	if len(f) < 2 || len(f) > 3 {
		return p, fmt.Errorf("geography %.40q: want POINT(LON LAT)", text)
	}
	lon, err1 := strconv.ParseFloat(f[0], 64)
	lat, err2 := strconv.ParseFloat(f[1], 64)
	if err1 != nil || err2 != nil || !(lon >= -180 && lon <= 180 && lat >= -90 && lat <= 90) {
		return p, fmt.Errorf("geography %.40q is not on earth", text)
	}
	return point{lon, lat}, nil
}
