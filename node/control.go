package node

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"time"
)

// Control serves a supervisor over the control socket until ctx ends. It owns
// and closes l. stop is called when a client asks the whole node to stop.
func Control(ctx context.Context, l net.Listener, s *Supervisor, stop func()) error {
	srv := &http.Server{Handler: controlHandler(s, stop), ReadHeaderTimeout: 5 * time.Second}
	done := make(chan error, 1)
	go func() { done <- srv.Serve(l) }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	if srv.Shutdown(last) != nil {
		srv.Close()
	}
	<-done
	return nil
}

func controlHandler(s *Supervisor, stop func()) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/roles", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusOK, rolesAnswer{PID: os.Getpid(), Roles: s.List(), Problems: append([]Problem{}, s.Problems()...)})
	})
	acts := map[string]func(context.Context, string) error{
		"start": s.Start,
		"stop":  s.Stop,
		"kill":  func(_ context.Context, name string) error { return s.Kill(name) },
	}
	for verb, act := range acts {
		mux.HandleFunc("POST /v1/roles/{name}/"+verb, func(w http.ResponseWriter, r *http.Request) {
			if err := act(r.Context(), r.PathValue("name")); err != nil {
				answer(w, statusOf(err), errorAnswer{Error: err.Error()})
				return
			}
			answer(w, http.StatusOK, struct{}{})
		})
	}
	mux.HandleFunc("POST /v1/stop", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusAccepted, struct{}{})
		stop()
	})
	return mux
}

type rolesAnswer struct {
	PID      int       `json:"pid"`
	Roles    []Info    `json:"roles"`
	Problems []Problem `json:"problems"`
}

type errorAnswer struct {
	Error string `json:"error"`
}

func statusOf(err error) int {
	switch {
	case errors.Is(err, ErrUnknownRole):
		return http.StatusNotFound
	case errors.Is(err, ErrWrongState):
		return http.StatusConflict
	}
	return http.StatusInternalServerError
}

func answer(w http.ResponseWriter, code int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(v) // the client left: nothing to tell it
}

// ErrNotRunning is returned when no node answers on a home's control socket.
var ErrNotRunning = errors.New("no network is running")

// Client acts on the roles of a running node through its control socket.
type Client struct {
	home string
	http http.Client
}

// NewClient makes a client of the node whose home directory is home.
func NewClient(home string) *Client {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) { return DialControl(ctx, home) }
	return &Client{home: home, http: http.Client{Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true}}}
}

// List returns the roles in start order, the latest problems and the node's
// process id.
func (c *Client) List(ctx context.Context) (roles []Info, problems []Problem, pid int, err error) {
	var a rolesAnswer
	err = c.call(ctx, http.MethodGet, "/v1/roles", &a)
	return a.Roles, a.Problems, a.PID, err
}

// Start starts a role and waits until it is ready.
func (c *Client) Start(ctx context.Context, name string) error { return c.act(ctx, name, "start") }

// Stop stops a role and waits for its end.
func (c *Client) Stop(ctx context.Context, name string) error { return c.act(ctx, name, "stop") }

// Kill ends a role without asking it.
func (c *Client) Kill(ctx context.Context, name string) error { return c.act(ctx, name, "kill") }

// StopNode asks the whole node to stop and returns once it agreed.
func (c *Client) StopNode(ctx context.Context) error {
	return c.call(ctx, http.MethodPost, "/v1/stop", &struct{}{})
}

func (c *Client) act(ctx context.Context, name, verb string) error {
	return c.call(ctx, http.MethodPost, "/v1/roles/"+name+"/"+verb, &struct{}{})
}

// maxAnswer bounds what a client reads from a node.
const maxAnswer = 64 << 20

func (c *Client) call(ctx context.Context, method, path string, into any) error {
	req, err := http.NewRequestWithContext(ctx, method, "http://node"+path, nil)
	if err != nil {
		return err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return fmt.Errorf("%w at %s: %w", ErrNotRunning, c.home, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("read answer of %s: %w", c.home, err)
	}
	if resp.StatusCode < 300 {
		return json.NewDecoder(bytes.NewReader(body)).Decode(into)
	}
	var e errorAnswer
	if json.Unmarshal(body, &e) != nil || e.Error == "" {
		e.Error = fmt.Sprintf("%s %s: node answered %s", method, path, resp.Status)
	}
	return &remoteError{msg: e.Error, code: resp.StatusCode}
}

// remoteError is an error that happened in the node; it matches the node's
// sentinels.
type remoteError struct {
	msg  string
	code int
}

func (e *remoteError) Error() string { return e.msg }

func (e *remoteError) Is(target error) bool {
	return e.code == http.StatusNotFound && target == ErrUnknownRole ||
		e.code == http.StatusConflict && target == ErrWrongState
}
