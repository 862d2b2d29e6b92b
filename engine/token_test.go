package engine

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/arbiter-ha/arbiter/failover"
	"github.com/arbiter-ha/arbiter/internal/clock"
	"github.com/arbiter-ha/arbiter/internal/postgres"
	"github.com/arbiter-ha/arbiter/internal/postgres/postgrestest"
)

// What hides the token is looked for elsewhere than what hides a setting that no role and no database can have.
func TestAdviceWhereASettingIsNotTaken(t *testing.T) {
	g := startGroup(t, "b", "c")
	advice := func(name failover.MemberName) string {
		return told(t, " was written", func(ctx context.Context) string {
			return g.engine.StopFollowing(ctx, g.member(name), g.spec, 5, g.systemID).Detail
		})
	}
	file, err := os.OpenFile(filepath.Join(g.servers["b"].Dir, "postgresql.conf"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := file.WriteString("= nonsense\n"); err != nil {
		t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	if got := advice("b"); !strings.Contains(got, "primary_conninfo was written") || !strings.Contains(got, "pg_file_settings") || strings.Contains(got, "ALTER ROLE") {
		t.Errorf("of a server that refuses its files: %s", got)
	}
	g.servers["a"].Exec("ALTER ROLE arbiter SET arbiter.epoch = '1'")
	g.servers["c"].Eventually("the role's setting arrives", func() bool { return g.servers["c"].Query("SELECT count(*) FROM pg_db_role_setting") == "1" })
	if got := advice("c"); !strings.Contains(got, "arbiter.epoch was written") || !strings.Contains(got, "ALTER ROLE") {
		t.Errorf("of a server whose role has a token: %s", got)
	}
}

// That a look was cut short by the end of the time hides nothing that a look before has found; a look that failed while there was time says what failed.
func TestReadBackTellsWhatAnEarlierLookFound(t *testing.T) {
	server := postgrestest.Start(t)
	conn := server.Dial()
	if _, err := conn.Exec(t.Context(), "SET arbiter.epoch = '5'"); err != nil {
		t.Fatal(err)
	}
	noRoute := errors.New("no route")
	for _, test := range []struct {
		name string
		look int // the first that fails
		late bool
		want error
	}{
		{"the time is up at the first look", 1, true, noRoute},
		{"the time is up at the second one", 2, true, ErrTokenNotTaken},
		{"the second one fails", 2, false, noRoute},
	} {
		parent, cancel := context.WithCancel(t.Context())
		ctx, looks := clock.NewLate(parent), 0
		dial := func(context.Context) (*postgres.Conn, error) {
			switch looks++; {
			case looks < test.look:
				return server.Dial(), nil
			case looks > test.look:
				cancel()
			case test.late:
				ctx.Pass()
			}
			return nil, noRoute
		}
		err := (&target{conn: session{Conn: conn}, epoch: 5, dial: dial}).readBack(ctx, []setting{{name: epochSetting, value: "5"}})
		if !errors.Is(err, test.want) || errors.Is(err, noRoute) != (test.want == noRoute) {
			t.Errorf("%s: %v", test.name, err)
		}
		cancel()
	}
}
