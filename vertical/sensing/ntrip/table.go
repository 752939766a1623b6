package ntrip

import (
	"fmt"
	"slices"
	"strings"

	"github.com/grange-network/grange/vertical/sensing/rtcm"
)

// list returns the mounts ordered by name.
func (c *Caster) list() []*mount {
	c.mu.RLock()
	defer c.mu.RUnlock()
	out := make([]*mount, 0, len(c.mounts))
	for _, m := range c.mounts {
		out = append(out, m)
	}
	slices.SortFunc(out, func(a, b *mount) int { return strings.Compare(a.name, b.name) })
	return out
}

var systemNames = map[rtcm.System]string{
	rtcm.GPS: "GPS", rtcm.GLONASS: "GLO", rtcm.Galileo: "GAL", rtcm.SBAS: "SBAS", rtcm.QZSS: "QZS", rtcm.BeiDou: "BDS",
}

// table is the body of the source table: a STR line for NEAR and each base that
// sends.
func (c *Caster) table() string {
	var b strings.Builder
	fmt.Fprintf(&b, "CAS;;;%s;%s;1;%s;0.00;0.00;;0;\r\n", field(c.cfg.Name), field(c.cfg.Name), field(c.cfg.Country))
	fmt.Fprintf(&b, "STR;%s;nearest base;RTCM 3;;2;;%s;%s;0.00;0.00;1;0;Grange;none;B;Y;0;\r\n", Near, field(c.cfg.Name), field(c.cfg.Country))
	for _, m := range c.list() {
		i := m.info()
		var types, systems []string
		for _, t := range i.types {
			types = append(types, fmt.Sprint(t))
		}
		for _, s := range i.systems {
			systems = append(systems, systemNames[s])
		}
		fmt.Fprintf(&b, "STR;%s;%s;RTCM 3;%s;2;%s;%s;%s;%.2f;%.2f;0;0;%s;none;B;Y;0;\r\n", i.name, i.name, strings.Join(types, ","),
			strings.Join(systems, "+"), field(c.cfg.Name), field(c.cfg.Country), i.place.Lat, i.place.Lon, field(i.receiver))
	}
	b.WriteString("ENDSOURCETABLE\r\n")
	return b.String()
}

// field makes a text safe for a line of the table.
func field(s string) string {
	return strings.Map(func(r rune) rune {
		if r == ';' || r < ' ' || r > '~' {
			return '_'
		}
		return r
	}, s)
}
