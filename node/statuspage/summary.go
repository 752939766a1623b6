package statuspage

import (
	"encoding/json"
	"fmt"

	"github.com/grange-network/grange/internal/cliout"
)

// roleStatus is what the page says of the status of a role: the fields of
// providers and gateways that a person looks for.
type roleStatus struct {
	Pieces   uint64 `json:"pieces"`
	Used     uint64 `json:"used"`
	Capacity uint64 `json:"capacity"`
	Proven   uint64 `json:"proven"`

	Segments   uint64 `json:"segments"`
	Bytes      uint64 `json:"bytes"`
	Full       uint64 `json:"full"`
	Thin       uint64 `json:"thin"`
	Low        uint64 `json:"low"`
	Unreadable uint64 `json:"unreadable"`
	Exhausted  uint64 `json:"exhausted"`
}

// summary is a role's status in one sentence; kinds without one say nothing.
func summary(kind string, status any) string {
	raw, err := json.Marshal(status)
	var s roleStatus
	if err != nil || status == nil || json.Unmarshal(raw, &s) != nil {
		return ""
	}
	switch kind {
	case "provider":
		text := fmt.Sprintf("%s, %s of %s used", count(s.Pieces, "piece"), cliout.Bytes(s.Used), cliout.Bytes(s.Capacity))
		if s.Proven > 0 {
			return text + fmt.Sprintf(", proven in epoch %d", s.Proven)
		}
		return text + ", nothing proven yet"
	case "gateway":
		text := fmt.Sprintf("%s of %s: %d full, %d thin, %d low", count(s.Segments, "segment"), cliout.Bytes(s.Bytes), s.Full, s.Thin, s.Low)
		if s.Unreadable > 0 {
			text += fmt.Sprintf(", %d unreadable now", s.Unreadable)
		}
		if s.Exhausted > 0 {
			text += fmt.Sprintf("; the escrow of %s has run dry", count(s.Exhausted, "lease"))
		}
		return text
	}
	return ""
}

func count(n uint64, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
