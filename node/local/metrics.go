package local

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"

	"github.com/grange-network/grange/node/statuspage"
)

// MetricsEndpoint is where a process shows its metrics.
type MetricsEndpoint struct {
	Process string   `json:"process"`
	Roles   []string `json:"roles"` // that run in it
	URL     string   `json:"url"`   // Prometheus text format
}

// metricsFile is where the process of one role keeps the URL of its metrics.
func metricsFile(home, role string) string { return filepath.Join(home, "run", role+".metrics") }

// serveMetrics shows the metrics of the process of one role on loopback until
// stop is called. The port is any free one, and the same at the next start if it
// is free then.
func (e *env) serveMetrics(ctx context.Context, role string) (stop func(), err error) {
	path := metricsFile(e.home, role)
	l, err := listenAgain(path)
	if err != nil {
		return nil, fmt.Errorf("show metrics of %s: %w", role, err)
	}
	m := MetricsEndpoint{Process: role, Roles: []string{role}, URL: "http://" + l.Addr().String() + "/metrics"}
	if err := writeJSON(path, m, 0o600); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := statuspage.ServeMetrics(ctx, l, e.traces); err != nil {
			e.log.Warn("metrics not shown", "err", err)
		}
	}()
	return func() { cancel(); <-done }, nil
}

// listenAgain listens where path says, or anywhere.
func listenAgain(path string) (net.Listener, error) {
	m, err := readMetrics(path)
	if err == nil {
		if l, err := net.Listen("tcp", m.addr()); err == nil {
			return l, nil
		}
	}
	return net.Listen("tcp", "127.0.0.1:0")
}

// addr is the host:port of the URL.
func (m MetricsEndpoint) addr() string {
	const scheme, path = "http://", "/metrics"
	if len(m.URL) < len(scheme)+len(path) {
		return ""
	}
	return m.URL[len(scheme) : len(m.URL)-len(path)]
}

func readMetrics(path string) (m MetricsEndpoint, err error) {
	b, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(b, &m)
	}
	return m, err
}

// metricsEndpoints are those of all processes: that which runs the network,
// whose status page shows them, and one for each role with a process of its own.
func (n *Network) metricsEndpoints() []MetricsEndpoint {
	own := MetricsEndpoint{Process: processName, Roles: []string{StatusName}, URL: "http://" + n.plan.addr(n.plan.Ports.Status) + "/metrics"}
	var out []MetricsEndpoint
	for _, r := range n.plan.roles() {
		if len(n.opts.Program) == 0 {
			own.Roles = append(own.Roles, r.name)
			continue
		}
		m, err := readMetrics(metricsFile(n.home, r.name))
		if errors.Is(err, fs.ErrNotExist) {
			continue // an optional role that has not been up
		}
		if err != nil {
			n.log.Warn("metrics of a role not listed", "role", r.name, "err", err)
			continue
		}
		out = append(out, m)
	}
	return append([]MetricsEndpoint{own}, out...)
}
