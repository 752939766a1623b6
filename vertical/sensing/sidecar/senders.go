package sidecar

import (
	"cmp"
	"errors"
	"fmt"
	"sync"
	"time"
)

// ErrSender says that somebody else reports here already.
var ErrSender = errors.New("somebody else reports here")

// quiet is how long a sender is silent until another may report in its place.
const quiet = 15 * time.Minute

// senders are who reports by each protocol. Two consoles would make one series out of
// two places. Whoever gives no name is not held to it. It is safe for concurrent use.
type senders struct {
	mu   sync.Mutex
	last map[string]sender // by protocol
}

type sender struct {
	name string
	at   time.Time
}

// admit notes that name reports, and says whether it is new; ErrSender while another
// does.
func (s *senders) admit(protocol, name string, now time.Time) (isNew bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	was, known := s.last[protocol]
	if known && was.name != name && was.name != "" && now.Sub(was.at) < quiet {
		if name == "" {
			return false, nil
		}
		return false, fmt.Errorf("%w: %s %.40q did %s ago, this is %.40q; a station program signs for one: start another with a --dir and --listen of its own, or let the first be silent for %s",
			ErrSender, protocol, was.name, now.Sub(was.at).Round(time.Second), name, quiet)
	}
	if s.last == nil {
		s.last = map[string]sender{}
	}
	s.last[protocol] = sender{name, now}
	return !known || was.name != name, nil
}

// admitted is admit with a line in the log for who is new, so that its owner sees
// that it is heard.
func (s *Sidecar) admitted(protocol, name, from string) error {
	isNew, err := s.senders.admit(protocol, name, s.cfg.Now())
	if isNew {
		s.cfg.Logger.Info("reports are heard", "protocol", protocol, "station", cmp.Or(name, "without a name"), "from", from)
	}
	return err
}
