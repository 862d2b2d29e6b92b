package explore

import (
	"bytes"
	"context"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/arbiter-ha/arbiter/failover"
)

// TestSmallWorldIsExplored follows every history with one odd entry; `make explore` goes further.
func TestSmallWorldIsExplored(t *testing.T) {
	report := Run(t.Context(), Bounds{Odd: 1, Workers: 2}, nil)
	for _, v := range report.Violations {
		t.Errorf("%s: %s\n  %s", v.Rule, v.Why, strings.Join(v.History, "\n  "))
	}
	if report.Err() != nil || !report.Exhausted {
		t.Fatalf("%v, exhausted %v", report.Err(), report.Exhausted)
	}
	// An exploration that comes nowhere finds nothing. These are states that one odd entry, the death of the primary, leads to.
	if report.States < 500 || report.Depth < 15 {
		t.Errorf("%d states, depth %d: much of the world was not seen", report.States, report.Depth)
	}
}

// TestFoldedStatesGoOnAlike takes pairs of states that differ and have one key, and asks that every entry leads both to states of one key
// again: what the key leaves out makes no difference. Here they are those that one odd entry leads to, one of nine; odd entries, which are many, are tried
// in fewer.
func TestFoldedStatesGoOnAlike(t *testing.T) {
	pairs, known := 0, map[key]failover.State{}
	var todo [2][]failover.State // where another odd entry may follow, and where not
	meet := func(s failover.State, odd int) {
		k := keyOf(&s)
		if twin, ok := known[k]; ok {
			if pairs++; pairs%9 == 0 {
				same(t, &twin, &s, pairs%99 == 0)
			}
			return
		}
		known[k] = s
		todo[odd] = append(todo[odd], s)
	}
	for _, s := range roots() {
		meet(s, 0)
	}
	for odd := range todo {
		for len(todo[odd]) > 0 {
			s := todo[odd][0]
			todo[odd] = todo[odd][1:]
			for _, m := range movesOf(&s, odd == 0) {
				after, events := failover.Next(s, m.entry(&s))
				if !refused(events) {
					meet(slim(after), odd+int(bool2byte(m.odd)))
				}
			}
		}
	}
	if pairs < 1000 {
		t.Errorf("only %d pairs were compared", pairs)
	}
}

// TestFoldedStatesOfLongHistoriesGoOnAlike does that along random histories with any number of odd entries.
func TestFoldedStatesOfLongHistoriesGoOnAlike(t *testing.T) {
	pairs := 0
	for seed := range uint64(30) {
		dice := rand.New(rand.NewPCG(seed, 1))
		known := map[key]failover.State{}
		s := roots()[1]
		for range 60 {
			k := keyOf(&s)
			if twin, ok := known[k]; ok {
				pairs++
				same(t, &twin, &s, true)
			}
			known[k] = s
			s = walk(dice, s)
		}
	}
	if pairs < 100 {
		t.Errorf("only %d pairs were compared", pairs)
	}
}

// walk applies an entry that is accepted, more often one that was planned.
func walk(dice *rand.Rand, s failover.State) failover.State {
	for {
		all := movesOf(&s, true)
		m := all[dice.IntN(len(all))]
		if m.odd && dice.IntN(4) > 0 {
			continue
		}
		after, events := failover.Next(s, m.entry(&s))
		if !refused(events) {
			return slim(after)
		}
	}
}

// same compares where all entries lead. One that leaves a state as it is may be there for one of two alone: moves leaves out what shows nothing new.
func same(t *testing.T, a, b *failover.State, odd bool) {
	t.Helper()
	next := func(s *failover.State) map[key]bool {
		keys := map[key]bool{keyOf(s): true}
		for _, m := range movesOf(s, odd) {
			after, events := failover.Next(*s, m.entry(s))
			if !refused(events) {
				after = slim(after)
				keys[keyOf(&after)] = true
			}
		}
		return keys
	}
	x, y := next(a), next(b)
	if len(x) != len(y) {
		t.Fatalf("%d and %d ways lead on from states with one key:\n%s\n%s", len(x), len(y), text(a), text(b))
	}
	for k := range x {
		if !y[k] {
			t.Fatalf("an entry parts states with one key:\n%s\n%s", text(a), text(b))
		}
	}
}

func text(s *failover.State) string {
	data, err := s.CanonicalBytes()
	if err != nil {
		return err.Error()
	}
	return string(data)
}

// TestKeysDoNotDependOnNames swaps two members, and all arbiters, in a state in the middle of a failover.
func TestKeysDoNotDependOnNames(t *testing.T) {
	s := roots()[1]
	apply := func(body failover.Body) {
		after, events := failover.Next(s, move{body: body, term: 1, proposer: "a"}.entry(&s))
		if refused(events) {
			t.Fatal(events[0].Text)
		}
		s = slim(after)
	}
	m := &moves{s: &s, g: s.Group(group)}
	apply(failover.Observe{Batches: []failover.Batch{m.batch("a", down.observation("m2", s.Applied))}})
	one := keyOf(&s)
	s = roots()[1]
	m = &moves{s: &s, g: s.Group(group)}
	apply(failover.Observe{Batches: []failover.Batch{m.batch("c", down.observation("m3", s.Applied))}})
	if keyOf(&s) != one {
		t.Error("a's sight of m2 and c's sight of m3 are told apart")
	}
	m = &moves{s: &s, g: s.Group(group)}
	apply(failover.Observe{Batches: []failover.Batch{m.batch("a", down.observation("m2", s.Applied))}})
	if keyOf(&s) == one {
		t.Error("two standbys that are down are taken for one")
	}
}

// A member whose devices were seen to be wrong is another one than it was, whoever saw that and however often; what devices said besides is the same to all.
func TestKeysTellWrongDevices(t *testing.T) {
	keys := map[key]bool{}
	for _, said := range [][]failover.FencePath{
		nil,
		{{Armed: true, Off: true}},
		{{Armed: true, Off: true, Contradicted: true}},
		{{Armed: true, Off: true, Contradicted: true}, {Armed: true}},
	} {
		s := roots()[1]
		for i, path := range said {
			path.Group, path.Member, path.AsOf = group, "m2", s.Applied
			b := (&moves{s: &s, g: s.Group(group)}).batch(nodes[i])
			b.FencePaths = []failover.FencePath{path}
			s, _ = failover.Next(s, move{body: failover.Observe{Batches: []failover.Batch{b}}, term: 1, proposer: "a"}.entry(&s))
			s = slim(s)
		}
		keys[keyOf(&s)] = true
	}
	if len(keys) != 2 {
		t.Errorf("%d states are told apart", len(keys))
	}
}

// TestKeysTellApart what later entries ask of an operation, and what they would find only along histories longer than those of other tests.
func TestKeysTellApart(t *testing.T) {
	s := roots()[1]
	m := &moves{s: &s, g: s.Group(group)}
	var all failover.Observe
	for _, node := range nodes {
		all.Batches = append(all.Batches, m.batch(node, down.observation("m1", s.Applied)))
	}
	s, _ = failover.Next(s, move{body: all, term: 1, proposer: "a"}.entry(&s))
	for what, change := range map[string]func(*failover.Operation){
		"tries are used up":               func(op *failover.Operation) { op.Attempts = 1 },
		"another one's tries are used up": func(op *failover.Operation) { op.Attempts, op.Arbiter = 1, "a" },
		"nobody answered after a fence":   func(op *failover.Operation) { op.Positions = m.positions(0) },
		"somebody answered after a fence": func(op *failover.Operation) { op.Positions = m.positions(2) },
	} {
		changed, g := s, *s.Group(group)
		op := *g.Operation
		change(&op)
		g.Operation, changed.Groups = &op, []*failover.Group{&g}
		if keyOf(&changed) == keyOf(&s) {
			t.Error("it is not told apart that", what)
		}
	}
}

func TestReportsAndErrors(t *testing.T) {
	stopped, stop := context.WithCancel(t.Context())
	stop()
	report := Run(stopped, Bounds{Odd: 1, Workers: 1}, nil)
	if report.Exhausted || report.Err() != ErrStopped {
		t.Errorf("stopped at once: exhausted %v, %v", report.Exhausted, report.Err())
	}
	path := filepath.Join(t.TempDir(), "report.json")
	var out bytes.Buffer
	if err := (Report{Bounds: Bounds{Workers: 2}, States: 3, Entries: 12, Exhausted: true, Took: 2 * time.Second}).Write(&out, path); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil || !strings.Contains(string(data), `"kind":"explore"`) || !strings.Contains(string(data), `"states":3`) || !strings.Contains(string(data), `"entries_per_second":6`) {
		t.Errorf("%s %v", data, err)
	}
	if !strings.Contains(out.String(), "(6 entries per second, 3 for each of 2 workers)") {
		t.Errorf("printed %s", out.String())
	}
	if err := (Report{}).Write(&out, t.TempDir()); err == nil {
		t.Error("a report that can't be written is not missed")
	}
}
