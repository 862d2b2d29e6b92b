package failover

import (
	"strings"
	"testing"
)

// A standby was in recovery until its promotion ended: a look from before says nothing of the primary that it became.
func TestWriterInRecovery_NotByALookFromBeforeItsPromotion(t *testing.T) {
	w := given(t, promoted)
	g := w.group(t)
	m := g.Member("pg-b")
	if m.Authority != AuthorityWriter || m.Promoting || m.WriterSince == 0 {
		t.Fatalf("pg-b is %+v", m)
	}
	look := func(asOf Index) Observation {
		return standbyAt(1000).observation("orders", "pg-b", SyncRule{}, asOf, 0)
	}
	for _, test := range []struct {
		name string
		o    Observation
		want Status
	}{
		{"begun before", look(m.WriterSince - 1), StatusUp},
		{"begun then", look(m.WriterSince), StatusDegraded},
	} {
		if got, why := g.StatusOf(test.o); got != test.want || (got == StatusDegraded) != (why.Reason == ReasonReadOnly) {
			t.Errorf("%s: %s (%s), want %s", test.name, got, why.Reason, test.want)
		}
	}
	if v := Tally(&w.state, g, "pg-b"); v.Status != StatusUp || len(v.InRecovery) > 0 || InRecovery(&w.state, g) != "" {
		t.Errorf("by the looks from before: %s (%s)", v.Status, v.Why())
	}
}

// What a look says of the writer depends on the writer's authority, on what the look was told, and on the spec.
func TestWriterInRecovery_ByWhatItIs(t *testing.T) {
	stale := standbyAt(1000)
	stale.stale = true
	for name, test := range map[string]struct {
		change func(g *Group, m *Member)
		sees   seen
		want   Status
	}{
		"the writer":                             {func(*Group, *Member) {}, standbyAt(1000), StatusDegraded},
		"a primary":                              {func(*Group, *Member) {}, primaryAt(1000), StatusUp},
		"who is being promoted":                  {func(_ *Group, m *Member) { m.Promoting = true }, standbyAt(1000), StatusUp},
		"a standby":                              {func(_ *Group, m *Member) { m.Authority = AuthorityNone }, standbyAt(1000), StatusUp},
		"who was told to stop":                   {func(_ *Group, m *Member) { m.Authority = AuthorityRevoked }, standbyAt(1000), StatusUp},
		"what an earlier look was told":          {func(*Group, *Member) {}, stale, StatusUp},
		"the policy counts it as down":           {also(ReasonReadOnly, true), standbyAt(1000), StatusDown},
		"the policy counts another thing":        {also(ReasonDiskFull, true), standbyAt(1000), StatusDegraded},
		"it counts it, and requires no such one": {also(ReasonReadOnly, false), standbyAt(1000), StatusDegraded},
	} {
		t.Run(name, func(t *testing.T) {
			w := given(t, adopted)
			g := w.group(t).clone()
			test.change(g, g.Member("pg-a"))
			if got, _ := g.StatusOf(test.sees.observation("orders", "pg-a", SyncRule{}, w.state.Applied, 0)); got != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
		})
	}
}

func also(reason Reason, required bool) func(*Group, *Member) {
	return func(g *Group, _ *Member) {
		spec := *g.Spec
		spec.Policy.AlsoDown = []Reason{reason}
		spec.Health.Checks = []Check{{Name: "postgres", Kind: CheckPostgres, Required: required}}
		g.Spec = &spec
	}
}

// A failover for which nothing was done is over when most see its primary answer. It has recovered only if somebody sees it serve, and it isn't in recovery by most of them.
func TestWriterInRecovery_EndsAFailoverAndHasNotRecovered(t *testing.T) {
	for name, test := range map[string]struct {
		sees   string
		result OperationResult // empty: it is not over
	}{
		"all see it in recovery":              {"observe all: pg-a=idle-standby@1000", OperationStopped},
		"one writes, and one is in recovery":  {"observe a: pg-a=primary@1000\nobserve b: pg-a=idle-standby@1000", OperationRecovered},
		"one, and two see it write":           {"observe a,b: pg-a=primary@1000\nobserve c: pg-a=idle-standby@1000", OperationRecovered},
		"one, and two see it down":            {"observe a: pg-a=idle-standby@1000", ""},
		"it writes":                           {"observe all: pg-a=primary@1000", OperationRecovered},
		"all see it start up":                 {"observe all: pg-a=degraded(starting-up)", OperationStopped},
		"it starts up, and one sees it write": {"observe a,b: pg-a=degraded(starting-up)\nobserve c: pg-a=primary@1000", OperationStopped},
		"aborted, and all see it in recovery": {"abort orders\nobserve all: pg-a=idle-standby@1000", ""},
		"aborted, and it writes again":        {"abort orders\nobserve all: pg-a=idle-standby@1000\nobserve all: pg-a=primary@1000", OperationRecovered},
		"aborted, and another one writes":     {"abort orders\nobserve all: pg-a=idle-standby@1000 pg-b=primary@1000", OperationStopped},
		"aborted, and it is another database": {"abort orders\nobserve all: pg-a=stranger@1000", OperationStopped},
	} {
		t.Run(name, func(t *testing.T) {
			w := given(t, adopted+"pause orders\nobserve all: pg-a=down(refused)\n"+test.sees+"\n")
			g, result := w.group(t), OperationResult("")
			if kept := g.History.Receipts; g.Operation == nil && len(kept) > 0 {
				result = kept[len(kept)-1].Result
			}
			if result != test.result {
				t.Errorf("it ended %q, want %q (%s)", result, test.result, Tally(&w.state, g, "pg-a").Why())
			}
		})
	}
}

// A failover that an operator asks for waits for no router while the primary is in recovery: its clients can't write anyway.
func TestWriterInRecovery_IsNotPlanned(t *testing.T) {
	if w := given(t, adopted+"observe all: pg-a=readonly@1000\n"); !Planned(&w.state, w.group(t)) {
		t.Error("one that is only read-only serves its readers")
	}
	if w := given(t, adopted); !Planned(&w.state, w.group(t)) {
		t.Error("of a primary that serves it is planned")
	}
	w := given(t, adopted+"observe all: pg-a=idle-standby@1000\n")
	if Planned(&w.state, w.group(t)) {
		t.Error("of a primary in recovery it is not planned")
	}
	found := Obstacles(&w.state, "orders", Durations{SinceLastFailover: -1})
	if len(found) == 0 || !strings.Contains(found[0].Why, "in recovery") || !strings.Contains(found[0].Next, "standby.signal") {
		t.Errorf("it is said: %v", found)
	}
}
