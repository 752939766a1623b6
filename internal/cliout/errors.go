package cliout

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
)

// Exit codes of every command.
const (
	OK          = 0
	Failed      = 1
	Usage       = 2
	NotFound    = 3
	Refused     = 4 // a rule says no
	Unavailable = 5 // what is needed does not answer, or is taken
)

// Error is a failure with its exit code and what to do next.
type Error struct {
	Code int
	Err  error
	Next string // a command or an action; may be empty
}

// Error is the text of the failure itself.
func (e *Error) Error() string { return e.Err.Error() }

// Unwrap returns the failure.
func (e *Error) Unwrap() error { return e.Err }

// Fail makes an error with an exit code; next is the command or action to try.
func Fail(code int, err error, next string) error {
	return &Error{Code: code, Err: err, Next: next}
}

// Failf is Fail with a formatted failure.
func Failf(code int, next, format string, args ...any) error {
	return Fail(code, fmt.Errorf(format, args...), next)
}

// Code is the exit code of err.
func Code(err error) int {
	var e *Error
	switch {
	case err == nil:
		return OK
	case errors.As(err, &e):
		return e.Code
	case errors.Is(err, context.DeadlineExceeded):
		return Unavailable
	}
	return Failed
}

// Show writes err for a person: what went wrong, then what to try.
func Show(w io.Writer, err error) {
	c := colorsFor(w)
	text := strings.TrimSpace(err.Error())
	fmt.Fprintf(w, "%s %s\n", c.Red("error:"), text)
	var e *Error
	if errors.As(err, &e) && e.Next != "" {
		fmt.Fprintf(w, "%s   %s\n", c.Dim("try:"), e.Next)
	}
}
