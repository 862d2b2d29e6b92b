package failover

import (
	"cmp"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

var rewrite = flag.Bool("rewrite", false, "write the results of testdata/*.txt instead of comparing them")

// TestScenarios runs testdata/*.txt: each block is commands, a line of dashes, and what they print. With -rewrite the
// expected text is written anew; the diff is what a reviewer reads.
func TestScenarios(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scenarios: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := runScenario(t, string(data))
			if *rewrite {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if got != string(data) {
				t.Errorf("the scenario goes differently; look at the diff after `go test ./failover -run TestScenarios -rewrite`:\n%s", firstDifference(string(data), got))
			}
		})
	}
}

func firstDifference(want, got string) string {
	a, b := strings.Split(want, "\n"), strings.Split(got, "\n")
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return fmt.Sprintf("line %d\nwant: %s\ngot:  %s", i+1, a[i], b[i])
		}
	}
	return "one is longer than the other"
}

// runScenario returns the scenario with what really happened.
func runScenario(t *testing.T, text string) string {
	t.Helper()
	w := newWorld()
	var out strings.Builder
	for _, block := range strings.Split(strings.TrimSpace(text), "\n\n") {
		commands, _, _ := strings.Cut(block, "\n----")
		out.WriteString(commands + "\n----\n")
		w.out.Reset()
		for _, line := range strings.Split(commands, "\n") {
			if line == "" || strings.HasPrefix(line, "#") {
				continue
			}
			if err := w.run(strings.Fields(line)); err != nil {
				t.Fatalf("%s: %v\n%s%s", line, err, out.String(), w.out.String())
			}
			w.settle()
			if w.failure != nil {
				t.Fatalf("%s: %v\n%s", line, w.failure, w.out.String())
			}
			w.check(t, line)
		}
		out.WriteString(w.out.String() + "\n")
	}
	return strings.TrimRight(out.String(), "\n") + "\n"
}

// check asks for what holds after every command: S1, and that the state survives a snapshot.
func (w *world) check(t *testing.T, line string) {
	t.Helper()
	for _, g := range w.state.Groups {
		if refusal := checkS1(g); refusal != nil {
			t.Fatalf("after %s: %v", line, refusal)
		}
	}
	data, err := w.state.CanonicalBytes()
	if err != nil {
		t.Fatal(err)
	}
	back, err := StateFromBytes(data)
	if err != nil {
		t.Fatal(err)
	}
	if again, _ := back.CanonicalBytes(); string(again) != string(data) {
		t.Fatalf("after %s: a snapshot changes the state", line)
	}
	w.state = back // whatever follows works on the restored state
}

// arguments are the plain words of a command and its key=value settings.
type arguments struct {
	words    []string
	settings map[string]string
}

func parse(fields []string) arguments {
	a := arguments{settings: map[string]string{}}
	for _, f := range fields {
		if key, value, ok := strings.Cut(f, "="); ok {
			a.settings[key] = value
		} else {
			a.words = append(a.words, f)
		}
	}
	return a
}

func (a arguments) word(i int) string {
	if i < len(a.words) {
		return a.words[i]
	}
	return ""
}

func (w *world) run(fields []string) error {
	a := parse(fields[1:])
	switch fields[0] {
	case "arbiters":
		for _, node := range a.words {
			w.addArbiter(NodeID(node))
		}
		w.commit("", 0, SetVoters{Voters: slices.Clone(w.order)})
	case "group", "apply":
		return w.runGroup(fields)
	case "observe", "moved":
		return w.runObserve(fields[1:], fields[0] == "observe")
	case "look-again":
		w.runLookAgain(a)
	case "tick":
		d, err := time.ParseDuration(a.word(0))
		w.tick(d)
		return err
	case "paths":
		return w.runPaths(a)
	case "outcome":
		return w.runOutcome(a)
	case "reign", "depose", "drain", "keep", "commit", "lose", "unknown", "confirm", "silent", "restart", "cold", "doubt", "in-doubt":
		return w.runArbiter(fields[0], a)
	case "plan", "explain", "obstacles", "state", "verdict", "steps", "epochs":
		return w.runQuestion(fields[0], a)
	default:
		return w.runRequest(fields[0], a)
	}
	return nil
}

// runGroup: group NAME member... setting=value...; members are kept by `apply` if none are named.
func (w *world) runGroup(fields []string) error {
	name := GroupName(fields[1])
	var members []MemberName
	var settings []string
	for _, f := range fields[2:] {
		key, value, ok := strings.Cut(f, "=")
		switch {
		case !ok:
			members = append(members, MemberName(f))
		case key == "sync":
			w.sync[name] = SyncRule{Need: 1, Names: strings.Split(value, ",")}
		default:
			settings = append(settings, f)
		}
	}
	spec := testSpecOf(name, members...)
	if g := w.state.Group(name); g != nil && len(members) == 0 {
		spec = g.Spec
	}
	spec, err := changeSpec(spec, settings)
	if err != nil {
		return err
	}
	w.commit("", 0, ApplySpec{Request: Request{Actor: "dana", Reason: "test"}, Group: name, Spec: spec, Source: []byte(strings.Join(fields, " "))})
	return nil
}

// runObserve: observe a,b|all [group:] member=what...; without members the arbiter just sends what it has to. What only moved is not
// sent before somebody asks.
func (w *world) runObserve(fields []string, send bool) error {
	nodes := w.order
	if fields[0] != "all" && fields[0] != "all:" {
		nodes = nil
		for _, n := range strings.Split(strings.TrimSuffix(fields[0], ":"), ",") {
			nodes = append(nodes, NodeID(n))
		}
	}
	group := GroupName("")
	if len(w.state.Groups) > 0 {
		group = w.state.Groups[0].Name
	}
	changed := map[GroupName][]MemberName{}
	sights := map[GroupName]map[MemberName]seen{}
	for _, f := range fields[1:] {
		member, what, ok := strings.Cut(f, "=")
		if !ok {
			group = GroupName(strings.TrimSuffix(f, ":"))
			continue
		}
		sight, err := parseSeen(what)
		if err != nil {
			return err
		}
		if sights[group] == nil {
			sights[group] = map[MemberName]seen{}
		}
		sights[group][MemberName(member)] = sight
		changed[group] = append(changed[group], MemberName(member))
	}
	var batches []Batch
	for _, node := range nodes {
		a := w.arbiters[node]
		for g, members := range sights {
			if a.sees[g] == nil {
				a.sees[g] = map[MemberName]seen{}
			}
			for m, s := range members {
				a.sees[g][m] = s
			}
		}
		if send {
			batches = append(batches, w.batch(a, changed))
		}
	}
	if send {
		w.commit("", 0, Observe{Batches: batches})
	}
	return nil
}

// parseSeen reads primary@100, standby@90 or, with a timeline, standby@90/2, standby+@90 (it grows), idle-standby@90, last-standby@90, stopped-standby@90, readonly@90,
// down(refused), degraded(slow), unknown(bad-credentials), frozen, was-frozen(12s), and of another database stranger@90[:identifier], starting-stranger and foreign-primary@90.
func parseSeen(text string) (seen, error) {
	text, system, _ := strings.Cut(text, ":")
	what, where, _ := strings.Cut(text, "@")
	position, timeline, _ := strings.Cut(where, "/")
	var at LSN
	var on uint32
	if position != "" {
		if _, err := fmt.Sscan(position, (*uint64)(&at)); err != nil {
			return seen{}, err
		}
	}
	if timeline != "" {
		if _, err := fmt.Sscan(timeline, &on); err != nil {
			return seen{}, err
		}
	}
	sight, err := seenAt(what, system, at)
	sight.timeline = on
	return sight, err
}

// seenAt reads what is seen; a stranger's system identifier is sys2 if none is given.
func seenAt(what, system string, at LSN) (seen, error) {
	kind, reason, _ := strings.Cut(strings.TrimSuffix(what, ")"), "(")
	switch kind {
	case "primary":
		return primaryAt(at), nil
	case "standby":
		return standbyAt(at), nil
	case "standby+":
		s := standbyAt(at)
		s.grows = true
		return s, nil
	case "idle-standby": // it receives from nobody
		s := standbyAt(at)
		s.idle = true
		return s, nil
	case "last-standby": // its last look was told nothing
		s := standbyAt(at)
		s.stale = true
		return s, nil
	case "stopped-standby", "stopped-stranger": // it answers no more: what it told last is known
		s := seen{reason: ReasonRefused, role: RoleStandby, position: at, system: "sys1", stale: true}
		if kind == "stopped-stranger" {
			s.system = cmp.Or(system, "sys2")
		}
		return s, nil
	case "old-primary": // it could not be asked for long
		s := primaryAt(at)
		s.reason, s.writes, s.stale, s.old = Reason(cmp.Or(reason, string(ReasonBadCredentials))), false, true, true
		return s, nil
	case "never-asked": // for long, by an arbiter that was never told anything of it
		return seen{reason: ReasonBadCredentials, old: true}, nil
	case "stalled": // a primary that answers, and commits nothing
		return seen{reason: ReasonWriteStalled, role: RolePrimary, position: at, system: "sys1"}, nil
	case "readonly":
		return seen{reason: ReasonReadOnly, role: RolePrimary, position: at, system: "sys1"}, nil
	case "stranger":
		s := standbyAt(at)
		s.system = cmp.Or(system, "sys2")
		return s, nil
	case "starting-stranger": // what it told before it was stopped is all that is known
		return seen{reason: ReasonStartingUp, role: RoleStandby, system: "sys2"}, nil
	case "foreign-primary":
		s := primaryAt(at)
		s.system = "sys2"
		return s, nil
	case "frozen": // its machine accepts connections, and no answer comes
		return seen{reason: ReasonTimeout, accepted: true}, nil
	case "was-frozen": // it accepts none any more, since so long
		since, err := time.ParseDuration(reason)
		return seen{reason: ReasonTimeout, since: since}, err
	case "down", "degraded", "unknown":
		return dead(Reason(reason)), nil
	}
	return seen{}, fmt.Errorf("nobody can see %q", what)
}

// runLookAgain: the arbiters (all if none is named) that were asked answer with what they see; since=N answers an older request.
func (w *world) runLookAgain(a arguments) {
	nodes := w.order
	if len(a.words) > 0 && a.words[0] != "answers" {
		nodes = nil
		for _, n := range a.words {
			nodes = append(nodes, NodeID(n))
		}
	}
	asked := map[GroupName]Index{}
	for _, id := range w.order {
		for g, i := range w.arbiters[id].asked {
			asked[g] = max(asked[g], i)
		}
	}
	for g, older := range asked {
		_, _ = fmt.Sscan(a.settings["since"], (*uint64)(&older))
		asked[g] = older
	}
	var batches []Batch
	for _, node := range nodes {
		looks := map[GroupName][]MemberName{}
		for _, g := range sortedKeys(asked) {
			looks[g] = sortedKeys(w.arbiters[node].sees[g])
		}
		b := w.batch(w.arbiters[node], looks)
		for _, g := range sortedKeys(asked) {
			b.Answers = append(b.Answers, Answer{Group: g, Index: asked[g]})
		}
		batches = append(batches, b)
	}
	w.commit("", 0, Observe{Batches: batches})
}

// runPaths: paths a group member armed|off|contradicted|silent.
func (w *world) runPaths(a arguments) error {
	node := w.arbiters[NodeID(a.word(0))]
	b := w.batch(node, nil)
	b.FencePaths = []FencePath{{Group: GroupName(a.word(1)), Member: MemberName(a.word(2)), Armed: a.word(3) != "silent", Off: a.word(3) == "off" || a.word(3) == "contradicted", Contradicted: a.word(3) == "contradicted", Detail: a.word(3), AsOf: w.state.Applied}}
	w.commit("", 0, Observe{Batches: []Batch{b}})
	return nil
}
