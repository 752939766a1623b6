package local

import (
	"testing"

	"github.com/grange-network/grange/tunnel"
)

// A provider that is routed has no port: its place in the block is the router's.
func TestRoutedProviderHasNoPort(t *testing.T) {
	p := &Plan{Listen: DefaultListen, Providers: make([]ProviderPlan, 3)}
	p.Providers[2].Routed = true
	p.assign(DefaultPort)
	if got, want := p.Ports.Router, DefaultPort+fixedPorts+2; got != want || p.Providers[2].Port != 0 {
		t.Errorf("router on %d, want %d; the routed provider on %d", got, want, p.Providers[2].Port)
	}
	seen := map[int]string{}
	for _, u := range p.uses() {
		if *u.port == 0 || seen[*u.port] != "" {
			t.Errorf("port %d for %s, and for %q", *u.port, u.what, seen[*u.port])
		}
		seen[*u.port] = u.what
	}
	if len(seen) != fixedPorts+3 {
		t.Errorf("%d ports, want %d: %v", len(seen), fixedPorts+3, seen)
	}
	key := tunnel.PublicKey{1}
	for i, scheme := range []string{tunnel.SchemeTCP, tunnel.SchemeTCP, tunnel.SchemeRouter} {
		text := p.endpoint(p.Providers[i], key).String()
		if e, err := tunnel.ParseEndpoint(text); err != nil || e.Scheme != scheme {
			t.Errorf("provider %d is reached at %s: %v", i, text, err)
		}
	}
}
