// Package pgtest starts a throwaway PostgreSQL for tests: a new cluster in a
// temporary directory, reached by a socket in it and by nothing else. Where there
// is no PostgreSQL, tests skip and say so.
package pgtest

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	_ "github.com/lib/pq" // the driver
)

// Environment names a database to use instead of a new cluster: a URL whose user
// may make databases.
const Environment = "GRANGE_TEST_POSTGRES"

// errMissing says that there is nothing to start.
var errMissing = errors.New("PostgreSQL is not installed (Debian: apt-get install postgresql)")

var cluster struct {
	once sync.Once
	url  *url.URL
	err  error
	stop func() error
	made atomic.Int64
}

// Main runs the tests of a package and stops the cluster that they started.
// TestMain calls it.
func Main(m *testing.M) int {
	code := m.Run()
	if cluster.stop != nil {
		if err := cluster.stop(); err != nil {
			fmt.Fprintln(os.Stderr, "stop PostgreSQL:", err)
			return max(code, 1)
		}
	}
	return code
}

// Database makes an empty database and returns its URL. It is dropped after the
// test. The test is skipped where no PostgreSQL can be started.
func Database(t testing.TB) string {
	t.Helper()
	cluster.once.Do(func() { cluster.url, cluster.stop, cluster.err = find() })
	if errors.Is(cluster.err, errMissing) {
		t.Skip(cluster.err)
	}
	if cluster.err != nil {
		t.Fatalf("start PostgreSQL: %v", cluster.err)
	}
	name := fmt.Sprintf("grange_%d_%d", os.Getpid(), cluster.made.Add(1))
	admin(t, "CREATE DATABASE "+name)
	t.Cleanup(func() { admin(t, "DROP DATABASE "+name+" WITH (FORCE)") })
	u := *cluster.url
	u.Path = "/" + name
	return u.String()
}

func admin(t testing.TB, statement string) {
	t.Helper()
	db, err := sql.Open("postgres", cluster.url.String())
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.ExecContext(context.Background(), statement); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
}

func find() (*url.URL, func() error, error) {
	if s := os.Getenv(Environment); s != "" {
		u, err := url.Parse(s)
		return u, nil, err
	}
	bin := programs()
	if bin == "" {
		return nil, nil, errMissing
	}
	return start(bin)
}

// programs is the directory of the newest PostgreSQL; "" for none.
func programs() string {
	all, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb") // the pattern is well formed
	slices.SortFunc(all, func(a, b string) int { return version(a) - version(b) })
	if len(all) > 0 {
		return filepath.Dir(all[len(all)-1])
	}
	if path, err := exec.LookPath("initdb"); err == nil {
		return filepath.Dir(path)
	}
	return ""
}

func version(initdb string) int {
	n, _ := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(initdb)))) // 0 for none
	return n
}

// start makes a cluster and waits until it answers. PostgreSQL refuses to run as
// root: then it runs as the user of its package.
func start(bin string) (_ *url.URL, _ func() error, err error) {
	dir, err := os.MkdirTemp("", "grange-pg-")
	if err != nil {
		return nil, nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(dir))
		}
	}()
	as, name, err := owner(dir)
	if err != nil {
		return nil, nil, err
	}
	data := filepath.Join(dir, "data")
	initdb := exec.Command(filepath.Join(bin, "initdb"), "-D", data, "-U", name, "--auth=trust", "--no-sync", "--encoding=UTF8", "--locale=C")
	initdb.Dir, initdb.SysProcAttr = dir, as
	if out, err := initdb.CombinedOutput(); err != nil {
		return nil, nil, fmt.Errorf("make cluster: %w: %s", err, out)
	}
	var log bytes.Buffer
	server := exec.Command(filepath.Join(bin, "postgres"), "-D", data, "-k", dir, "-h", "", "-F", "-c", "shared_buffers=64MB")
	server.Dir, server.SysProcAttr, server.Stdout, server.Stderr = dir, as, &log, &log
	if err := server.Start(); err != nil {
		return nil, nil, err
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Wait() }()
	stop := func() error {
		err := server.Process.Signal(syscall.SIGINT) // fast shutdown
		<-ended
		return errors.Join(err, os.RemoveAll(dir))
	}
	u := &url.URL{Scheme: "postgres", Path: "/postgres", RawQuery: url.Values{"host": {dir}, "user": {name}}.Encode()}
	if err := answers(u, ended); err != nil {
		return nil, nil, errors.Join(err, server.Process.Kill(), fmt.Errorf("%s", log.Bytes()))
	}
	return u, stop, nil
}

// owner gives dir to the user that PostgreSQL runs as.
func owner(dir string) (*syscall.SysProcAttr, string, error) {
	me, err := user.Current()
	if err != nil || me.Uid != "0" {
		return nil, "grange", err
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		return nil, "", fmt.Errorf("%w: root may not run it, and %w", errMissing, err)
	}
	uid, e1 := strconv.ParseUint(u.Uid, 10, 32)
	gid, e2 := strconv.ParseUint(u.Gid, 10, 32)
	if err := errors.Join(e1, e2, os.Chown(dir, int(uid), int(gid))); err != nil {
		return nil, "", err
	}
	return &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}, "grange", nil
}

func answers(u *url.URL, ended <-chan error) error {
	db, err := sql.Open("postgres", u.String())
	if err != nil {
		return err
	}
	defer db.Close()
	deadline := time.After(3 * time.Minute)
	for {
		if err = db.Ping(); err == nil {
			return nil
		}
		select {
		case e := <-ended:
			return fmt.Errorf("it ended: %w", e)
		case <-deadline:
			return fmt.Errorf("it does not answer: %w", err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}
