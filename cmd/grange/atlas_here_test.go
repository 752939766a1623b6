package main

import (
	"strings"
	"testing"

	"github.com/grange-network/grange/atlas"
)

// What the atlas says to try is a command of this program, with flags it has.
func TestAtlasTriesCommandsThatExist(t *testing.T) {
	tries := map[string]string{}
	for _, h := range atlas.Embedded().Here {
		tries["here "+h.Entry] = h.Try
	}
	for _, p := range atlas.Embedded().Protocols {
		if strings.HasPrefix(p.Try, "grange ") {
			tries["protocol "+p.ID], _, _ = strings.Cut(p.Try, " #")
		}
	}
	for name, line := range tries {
		for try := range strings.SplitSeq(line, "&&") {
			words := strings.Fields(strings.NewReplacer("LAT", "47.4", "LON", "8.5").Replace(try))
			if len(words) == 0 {
				continue
			}
			if words[0] != "grange" {
				t.Errorf("%s: %q is no command of grange", name, try)
				continue
			}
			c, rest, err := newRoot(&globals{}).Find(words[1:])
			if err != nil {
				t.Errorf("%s: %q: %v", name, try, err)
				continue
			}
			if err := c.ParseFlags(rest); err != nil {
				t.Errorf("%s: %q: %v", name, try, err)
			} else if c.RunE == nil {
				t.Errorf("%s: %q is a group of commands", name, try)
			} else if err := c.ValidateArgs(c.Flags().Args()); err != nil {
				t.Errorf("%s: %q: %v", name, try, err)
			}
		}
	}
}
