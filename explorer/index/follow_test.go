package index

import (
	"context"
	"path/filepath"
	"strings"
	"testing"

	"github.com/grange-network/grange/explorer/chaintest"
	"github.com/grange-network/grange/explorer/pgtest"
)

// A database server that hangs up is asked again, and nothing is lost or doubled.
func TestDatabaseHangsUp(t *testing.T) {
	url := pgtest.Database(t)
	blocks := chaintest.History(t, 7, 60, devicesMade)
	c := chaintest.New("test-1", blocks[:20])
	s, admin := openAt(t, url, "test-1"), openAt(t, url, "test-1")
	f, stop := follow(t, s, c)
	await(t, f, 20)
	ctx := context.Background()
	const hangUp = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
	for n := 30; n <= 50; n += 10 {
		if _, err := admin.write.ExecContext(ctx, hangUp); err != nil {
			t.Fatal(err)
		}
		c.Change(func(s *chaintest.State) { s.Blocks = blocks[:n] })
		await(t, f, int64(n))
	}
	mend := func(statement string) {
		if _, err := admin.write.ExecContext(ctx, statement); err != nil {
			t.Fatal(err)
		}
	}
	mend("ALTER TABLE receipts RENAME TO gone")
	c.Change(func(s *chaintest.State) { s.Blocks = blocks })
	if p := awaitState(t, f, "stalled"); !strings.Contains(p.Message, "does not take blocks since block 50") {
		t.Errorf("message %q", p.Message)
	}
	mend("ALTER TABLE gone RENAME TO receipts")
	await(t, f, 60)
	stop()
	want := openAt(t, filepath.Join(t.TempDir(), "index.db"), "test-1")
	if _, err := want.Apply(ctx, blocks); err != nil {
		t.Fatal(err)
	}
	if got, want := dumpOf(t, s), dumpOf(t, want); got != want {
		t.Error(firstDifference(want, got))
	}
}
