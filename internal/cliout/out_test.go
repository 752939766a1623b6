package cliout

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"testing"
)

func TestUnits(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{Bytes(0), "0 B"}, {Bytes(1023), "1023 B"}, {Bytes(1024), "1.0 KiB"},
		{Bytes(1536 << 20), "1.5 GiB"}, {Bytes(^uint64(0)), "16.0 EiB"},
		{Credits(0), "$0.00"}, {Credits(1), "$0.000001"}, {Credits(1_250_000), "$1.25"},
		{Grains(3_000_000), "3.00 GRAIN"}, {Short("0123456789abcdef"), "0123456789ab"}, {Short("ab"), "ab"},
	} {
		if c.got != c.want {
			t.Errorf("got %q, want %q", c.got, c.want)
		}
	}
}

func TestTableAligns(t *testing.T) {
	tb := NewTable("NAME", "BYTES").Right(1)
	tb.Row("a", 5)
	tb.Row("größer", 12345)
	var b bytes.Buffer
	if err := tb.Write(&b); err != nil {
		t.Fatal(err)
	}
	want := "NAME    BYTES\na           5\ngrößer  12345\n"
	if b.String() != want {
		t.Errorf("got:\n%swant:\n%s", b.String(), want)
	}
}

func TestCodesAndMessages(t *testing.T) {
	inner := errors.New("find lease ab: no such lease")
	err := fmt.Errorf("show: %w", Fail(NotFound, inner, "grange lease list"))
	if Code(err) != NotFound || !errors.Is(err, inner) {
		t.Errorf("code %d of %v", Code(err), err)
	}
	for want, err := range map[int]error{OK: nil, Failed: inner, Unavailable: fmt.Errorf("ask: %w", context.DeadlineExceeded)} {
		if got := Code(err); got != want {
			t.Errorf("code of %v: %d, want %d", err, got, want)
		}
	}
	var b bytes.Buffer
	Show(&b, err)
	if want := "error: show: find lease ab: no such lease\ntry:   grange lease list\n"; b.String() != want {
		t.Errorf("got %q, want %q", b.String(), want)
	}
}

func TestEmit(t *testing.T) {
	var b bytes.Buffer
	v := struct {
		A string `json:"a"`
	}{"<x>"}
	human := func(w io.Writer) error { _, err := io.WriteString(w, "plain\n"); return err }
	if err := (Out{W: &b, JSON: true}).Emit(v, human); err != nil {
		t.Fatal(err)
	}
	if err := (Out{W: &b}).Emit(v, human); err != nil {
		t.Fatal(err)
	}
	if want := "{\n  \"a\": \"<x>\"\n}\nplain\n"; b.String() != want {
		t.Errorf("got %q, want %q", b.String(), want)
	}
}
