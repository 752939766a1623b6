package ports

import (
	"errors"
	"net"
	"strconv"
	"testing"
)

const loopback = "127.0.0.1"

func TestBlock(t *testing.T) {
	first, err := Block(loopback, 5)
	if err != nil {
		t.Fatal(err)
	}
	if first < First || first+5 > Last {
		t.Fatalf("the block begins at %d", first)
	}
	l, err := net.Listen("tcp", net.JoinHostPort(loopback, strconv.Itoa(first+3)))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var taken *TakenError
	if err := TryAll(loopback, first, 5); !errors.As(err, &taken) || taken.Port != first+3 {
		t.Errorf("the block with one taken: %v", err)
	}
	if err := TryAll(loopback, first, 3); err != nil {
		t.Errorf("the part before it: %v", err)
	}
}

func TestBlockOfImpossibleSize(t *testing.T) {
	for _, n := range []int{-1, 0, Last - First + 1} {
		if first, err := Block(loopback, n); err == nil {
			t.Errorf("%d ports in a row begin at %d", n, first)
		}
	}
}

func TestFreeAddr(t *testing.T) {
	addr, err := FreeAddr(loopback)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
}
