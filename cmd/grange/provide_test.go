package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Who provides need not know where the network's gateway is.
func TestGatewayOr(t *testing.T) {
	empty, up := t.TempDir(), t.TempDir()
	if err := os.WriteFile(filepath.Join(up, "endpoints.json"), []byte(`{"chain_id":"c","data":"http://127.0.0.1:25547"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ name, home, asked, want, fails string }{
		{"that of the network", up, "", "http://127.0.0.1:25547", ""},
		{"that asked for", up, "https://gateway.example", "https://gateway.example", ""},
		{"no network", empty, "", "", "no network"},
		{"no URL", up, "127.0.0.1:8086", "", "want http://HOST:PORT"},
	} {
		got, err := (&globals{home: tt.home}).gatewayOr(tt.asked)
		if got != tt.want || (err == nil) != (tt.fails == "") || err != nil && !strings.Contains(err.Error(), tt.fails) {
			t.Errorf("%s: %q, %v, want %q and %q", tt.name, got, err, tt.want, tt.fails)
		}
	}
}
