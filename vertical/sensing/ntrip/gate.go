package ntrip

import (
	"context"
	"errors"
	"time"
)

// Near is the name of the mount point that serves the nearest base.
const Near = "NEAR"

// Errors of a Gate that clients see as such.
var (
	// ErrDenied says that name or password are wrong.
	ErrDenied = errors.New("name or password is wrong")

	// ErrUnpaid says that there is no credit left to serve the rover.
	ErrUnpaid = errors.New("the lease has no credit left")
)

// Gate decides who may use the caster. Its methods may be called from many
// goroutines.
type Gate interface {
	// Base lets a base push to a mount point or returns why not. place is where
	// the base is registered, nil if that is not known; then its first 1005 or
	// 1006 tells. Version 1 has no name.
	Base(ctx context.Context, mount, name, password string) (place *Position, err error)

	// Rover lets a rover pull or returns why not.
	Rover(ctx context.Context, mount, name, password string) (Session, error)
}

// Session is one rover's connection.
type Session interface {
	// Served says that the base's stream was delivered for another d. An error
	// ends the connection.
	Served(ctx context.Context, base string, d time.Duration) error

	// Close says that the rover is gone.
	Close()
}
