package doctor

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/grange-network/grange/verify"
)

func TestDisagreementsAreFindings(t *testing.T) {
	for _, c := range []struct {
		name, record string
		state        State
		words        string
	}{
		{"none", "", Pass, "0 wrong reports were refuted"},
		{"refuted", `{"vertical":"storage","epoch":"7","outcome":"proven"}`, Pass, "1 wrong reports were refuted"},
		{"not provable", `{"vertical":"storage","epoch":"7","ours":"aa","accepted":"bb","outcome":"no-fraud","reason":"why"}`, Warn, "accepted reward root bb, computed here is aa: no-fraud: why"},
		{"damaged", `{`, Fail, "7.json"},
	} {
		t.Run(c.name, func(t *testing.T) {
			home := t.TempDir()
			path := verify.DisagreementPath(home, "storage", 7)
			if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
				t.Fatal(err)
			}
			if c.record != "" {
				if err := os.WriteFile(path, []byte(c.record), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			d := &doctor{}
			d.disagreements("verifier", home)
			if len(d.Findings) != 1 || d.Findings[0].State != c.state || !strings.Contains(d.Findings[0].Found, c.words) {
				t.Fatalf("findings %+v", d.Findings)
			}
		})
	}
	d := &doctor{}
	d.disagreements("verifier", filepath.Join(t.TempDir(), "nothing"))
	if len(d.Findings) != 0 {
		t.Fatalf("no verifier has run: %+v", d.Findings)
	}
}
