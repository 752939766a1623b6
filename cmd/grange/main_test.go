package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/grange-network/grange/internal/ports"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"grange": func() { os.Exit(run()) }})
}

// TestScripts runs testdata/*.txtar: each is a session at a terminal, with real
// processes. Those that start a network are left out of -short.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Setup: func(e *testscript.Env) error {
			e.Setenv("GRANGE_HOME", e.WorkDir+"/home")
			e.Setenv("NO_COLOR", "1")
			return nil
		},
		Condition: func(cond string) (bool, error) {
			if cond == "networks" {
				return !testing.Short(), nil
			}
			return false, fmt.Errorf("unknown condition %q", cond)
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"exits": exits, "waitfile": waitFile, "gone": gone, "waitgone": waitGone, "pidof": pidOf, "readfile": readFile, "kill9": kill9,
			"freeport": freePort, "terminate": terminate,
			"s3": s3Request, "settled": settled,
		},
	})
}

// exits CODE COMMAND...: the command ends with exactly that code.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE COMMAND...")
	}
	want := args[0]
	err := ts.Exec(args[1], args[2:]...)
	got := 0
	if err != nil {
		var code interface{ ExitCode() int }
		if c, ok := err.(interface{ ExitCode() int }); ok {
			code = c
			got = code.ExitCode()
		} else {
			ts.Fatalf("%s: %v", args[1], err)
		}
	}
	if strconv.Itoa(got) != want {
		ts.Fatalf("%s ended with code %d, want %s", strings.Join(args[1:], " "), got, want)
	}
}

// waitFile PATH: the file appears within three minutes.
func waitFile(ts *testscript.TestScript, neg bool, args []string) {
	path := ts.MkAbs(args[0])
	for deadline := time.Now().Add(3 * time.Minute); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		if _, err := os.Stat(path); (err == nil) != neg {
			return
		}
	}
	ts.Fatalf("%s: nothing happened within 3 minutes", path)
}

// pidOf VAR NAME: sets VAR to the process id of a role, from the JSON on stdout.
func pidOf(ts *testscript.TestScript, _ bool, args []string) {
	var l localList
	if err := json.Unmarshal([]byte(ts.ReadFile("stdout")), &l); err != nil {
		ts.Fatalf("read stdout: %v", err)
	}
	for _, r := range l.Roles {
		if r.Name == args[1] {
			ts.Setenv(args[0], strconv.Itoa(r.PID))
			return
		}
	}
	ts.Fatalf("no role %s in %v", args[1], l.Roles)
}

// gone PID: the process does not exist any more; with !, it does.
func gone(ts *testscript.TestScript, neg bool, args []string) {
	pid, err := strconv.Atoi(args[0])
	ts.Check(err)
	if dead := syscall.Kill(pid, 0) != nil; dead == neg {
		ts.Fatalf("process %d: gone is %v", pid, dead)
	}
}

// readFile VAR PATH: sets VAR to the text of a file, without space around it.
func readFile(ts *testscript.TestScript, _ bool, args []string) {
	ts.Setenv(args[0], strings.TrimSpace(ts.ReadFile(args[1])))
}

// kill9 PID: ends a process without asking it.
func kill9(ts *testscript.TestScript, _ bool, args []string) {
	pid, err := strconv.Atoi(args[0])
	ts.Check(err)
	ts.Check(syscall.Kill(pid, syscall.SIGKILL))
}

// freePort VAR: sets VAR to a TCP port that nobody listens on.
func freePort(ts *testscript.TestScript, _ bool, args []string) {
	port, err := ports.Free("127.0.0.1")
	ts.Check(err)
	ts.Setenv(args[0], strconv.Itoa(port))
}

// terminate PID: asks a process to end, as Ctrl-C does.
func terminate(ts *testscript.TestScript, _ bool, args []string) {
	pid, err := strconv.Atoi(args[0])
	ts.Check(err)
	ts.Check(syscall.Kill(pid, syscall.SIGTERM))
}

// waitGone PID: the process ends within three minutes.
func waitGone(ts *testscript.TestScript, _ bool, args []string) {
	pid, err := strconv.Atoi(args[0])
	ts.Check(err)
	for deadline := time.Now().Add(3 * time.Minute); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if syscall.Kill(pid, 0) != nil {
			return
		}
	}
	ts.Fatalf("process %d is still there after 3 minutes", pid)
}
