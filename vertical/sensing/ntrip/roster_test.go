package ntrip

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"
)

const roster = `
bases:
  BASE: {password: secret, lat: 48.1, lon: 11.5}
  FREE: {password: other}
rovers:
  paid: {token: t1}
  short: {token: t2, seconds: 2}
`

func TestRoster(t *testing.T) {
	r, err := ReadRoster(strings.NewReader(roster))
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	if p, err := r.Base(ctx, "BASE", "", "secret"); err != nil || *p != (Position{48.1, 11.5}) {
		t.Errorf("base: %v, %v", p, err)
	}
	if p, err := r.Base(ctx, "FREE", "", "other"); err != nil || p != nil {
		t.Errorf("base without a place: %v, %v", p, err)
	}
	for _, mount := range []string{"BASE", "NONE"} {
		if _, err := r.Base(ctx, mount, "", ""); !errors.Is(err, ErrDenied) {
			t.Errorf("base %s without a password: %v", mount, err)
		}
	}
	s, err := r.Rover(ctx, Near, "short", "t2")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Rover(ctx, Near, "short", "t2"); err == nil || errors.Is(err, ErrDenied) {
		t.Errorf("a second connection: %v", err)
	}
	if err := s.Served(ctx, "BASE", 1500*time.Millisecond); err != nil {
		t.Errorf("the first second: %v", err)
	}
	if err := s.Served(ctx, "BASE", 600*time.Millisecond); !errors.Is(err, ErrUnpaid) {
		t.Errorf("the second second: %v, want %v", err, ErrUnpaid)
	}
	s.Close()
	if _, err := r.Rover(ctx, Near, "short", "t2"); !errors.Is(err, ErrUnpaid) {
		t.Errorf("after all is used: %v, want %v", err, ErrUnpaid)
	}
	if _, err := r.Rover(ctx, Near, "", ""); !errors.Is(err, ErrDenied) {
		t.Errorf("nobody: %v", err)
	}
}

func TestRosterRefuses(t *testing.T) {
	for _, tt := range []struct{ name, in, want string }{
		{"unknown field", "bases:\n  A: {pasword: x}\n", "line 2: field pasword"},
		{"no password", "bases:\n  A: {lat: 1, lon: 2}\n", "base A has no password"},
		{"half a place", "bases:\n  A: {password: x, lat: 1}\n", "only one of lat and lon"},
		{"no place on earth", "bases:\n  A: {password: x, lat: 91, lon: 0}\n", "want degrees"},
		{"reserved name", "bases:\n  NEAR: {password: x}\n", "not NEAR"},
		{"no token", "rovers:\n  a: {}\n", "rover a has no token"},
	} {
		if _, err := ReadRoster(strings.NewReader(tt.in)); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
	}
}
