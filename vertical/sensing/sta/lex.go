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
			p, err := parseGeography(text)
			return token{tokenPoint, text, p}, rest, err
		}
		if name == "duration" && strings.HasPrefix(s[n:], "'") {
			text, rest, err := quoted(s[n:])
			if err != nil {
				return t, "", err
			}
			d, err := parseDuration(text)
			return token{tokenTime, text, d}, rest, err
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
	if _, err := time.Parse(time.DateOnly, word); err == nil {
		return token{tokenText, word, word}, s[n:], nil
	}
	if _, err := time.Parse(time.TimeOnly, word); err == nil {
		return token{tokenText, word, word}, s[n:], nil
	}
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

// parseDuration reads days, hours, minutes and seconds of ISO 8601, as P1D or
// PT1H30M.
func parseDuration(text string) (out time.Duration, err error) {
	s, ok := strings.CutPrefix(strings.ToUpper(text), "P")
	units := map[byte]time.Duration{'D': day}
	for s != "" && ok {
		if s[0] == 'T' {
			s, units = s[1:], map[byte]time.Duration{'H': time.Hour, 'M': time.Minute, 'S': time.Second}
		}
		n := strings.IndexAny(s, "DHMS")
		if n < 0 || units[s[n]] == 0 {
			ok = false
			break
		}
		f, err := strconv.ParseFloat(s[:n], 64)
		if ok = err == nil && f >= 0 && f < 1e6; ok {
			out += time.Duration(f * float64(units[s[n]]))
		}
		s = s[n+1:]
	}
	if !ok || out == 0 {
		return 0, fmt.Errorf("duration %.40q: want it as P1D or PT1H30M", text)
	}
	return out, nil
}
