package sim

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Plan is all that is drawn from a seed before a run begins: the world, and what goes wrong in it. To make a failing run smaller, items are
// taken out.
type Plan struct {
	Seed          uint64
	Nodes         int
	Groups        []GroupPlan
	SharedHost    bool // the first members of both groups are on one machine
	SnapshotEvery int
	Length        time.Duration // of the time in which things go wrong
	Items         []Item
}

// GroupPlan is one protected group.
type GroupPlan struct {
	Members   int
	SyncNeed  int // standbys that must confirm a commit; 0: asynchronous
	MaxLoss   uint64
	Fast      bool
	Lease     time.Duration
	Cooldown  time.Duration
	Minimum   time.Duration
	Grace     time.Duration
	Cold      time.Duration
	Levels    int // of fence devices
	Refence   bool
	Routes    bool
	Refuses   bool // its members refuse old epochs
	DownVotes int

	RecoveryDown bool // a writer that is in recovery counts as down
}

// Item is one thing that goes wrong, or that an operator does: at a time, or when an arbiter comes to a point of its work.
type Item struct {
	At     time.Duration
	Kind   string
	Hook   string // instead of At: the point, and Count of times that it is passed before
	Count  int
	Node   int
	Group  int
	Member int
	For    time.Duration
	Amount int
}

// String is the item in one line.
func (i Item) String() string {
	when := i.At.String()
	if i.Hook != "" {
		when = fmt.Sprintf("%s no. %d", i.Hook, i.Count+1)
	}
	return fmt.Sprintf("%s: %s node %d group %d member %d for %s amount %d", when, i.Kind, i.Node, i.Group, i.Member, i.For, i.Amount)
}

// kinds are what can happen, and how often each is drawn.
var kinds = []struct {
	name   string
	weight int
}{
	{"kill", 6},
	{"freeze", 6},
	{"pause", 3},
	{"wipe", 1},
	{"disk-stall", 4},
	{"disk-full", 2},
	{"disk-slow", 2},
	{"lag", 2},
	{"wall-step", 1},
	{"election", 3},
	{"drain", 2},
	{"reset-streams", 4},
	{"cut-node", 5},
	{"cut-in", 3},
	{"cut-out", 3},
	{"cut-pair", 3},
	{"halves", 2},
	{"cut-zone", 3},
	{"loss", 3},
	{"slow", 3},
	{"dup", 2},
	{"crash", 14},
	{"orphans", 3},
	{"host-off", 6},
	{"host-freeze", 5},
	{"stall", 3},
	{"full", 1},
	{"power-back", 4},
	{"bounce", 3},
	{"cut-member", 5},
	{"cut-member-some", 4},
	{"cut-replication", 3},
	{"cut-bmc", 3},
	{"replaced", 1},
	{"device-slow", 3},
	{"device-hanging", 3},
	{"device-failing", 3},
	{"device-lying", 1},
	{"router", 2},
	{"op-pause", 2},
	{"op-resume", 2},
	{"op-failover", 5},
	{"op-abort", 4},
	{"op-release", 4},
	{"op-accept-loss", 3},
	{"op-reinstate", 4},
	{"op-attest", 4},
	{"op-adopt", 4},
	{"op-adopt-attest", 2},
	{"op-spec", 2},
	{"op-move", 1},
	{"op-delete", 1},
	{"op-rebuild", 6},
	{"op-power-on", 4},
	{"op-replace-node", 1},
	{"read", 4},
}

// hooks are the points at which an arbiter may be struck.
func hooks() []string {
	var points []string
	for _, action := range []string{"isolate", "isolate", "isolate", "catch_up", "promote", "promote", "configure", "route", "verify"} { // what matters more, more often
		points = append(points, "before-effect-"+action, "after-effect-"+action, "before-commit-intend-"+action, "after-commit-intend-"+action)
	}
	for _, entry := range []string{"acquire-lease", "conclude", "release-lease", "begin-reign", "HoldOperation", "RenewLease"} {
		points = append(points, "before-commit-"+entry, "after-commit-"+entry)
	}
	return points
}

// Draw makes the plan of a seed.
func Draw(seed uint64) *Plan {
	d := newDice(seed, "plan")
	p := &Plan{
		Seed: seed, Nodes: pick(d, []int{3, 3, 3, 5}), SharedHost: d.chance(30), SnapshotEvery: pick(d, []int{20, 60, 400}),
		Length: d.between(90*time.Second, 8*time.Minute),
	}
	for range pick(d, []int{1, 1, 2}) {
		p.Groups = append(p.Groups, drawGroup(d))
	}
	allowed := map[string]bool{} // each run has only some kinds, so that one kind does not always hide what another would show
	share := pick(d, []int{25, 50, 80, 100})
	for _, k := range kinds {
		allowed[k.name] = d.chance(share)
	}
	allowed["crash"] = true
	episodes := 2 + d.IntN(7)
	for range episodes {
		center := d.between(12*time.Second, p.Length-10*time.Second)
		for range 1 + d.IntN(7) {
			if item, ok := drawItem(d, allowed, p); ok {
				item.At = center + d.between(0, 9*time.Second)
				p.Items = append(p.Items, item)
			}
		}
	}
	for range d.IntN(6) {
		p.Items = append(p.Items, Item{
			Kind: pick(d, []string{"kill", "kill", "freeze", "freeze", "pause", "cut-node", "disk-stall", "election", "op-pause", "op-pause", "op-abort", "bounce"}), Hook: pick(d, hooks()), Count: d.IntN(3),
			For: d.between(200*time.Millisecond, 12*time.Second), Amount: d.IntN(1000), Member: -1, Group: d.IntN(len(p.Groups)),
		})
	}
	p.Items = append(p.Items, drawRouters(newDice(seed, "routers"), p)...)
	p.Items = append(p.Items, drawLiars(newDice(seed, "liars"), p)...)
	p.Items = append(p.Items, drawRecoveries(newDice(seed, "recoveries"), p)...)
	p.Items = append(p.Items, drawBlackouts(newDice(seed, "blackouts"), p)...)
	p.Items = append(p.Items, drawFleet(newDice(seed, "fleet"), p)...)
	p.Items = append(p.Items, drawEchoes(newDice(seed, "echoes"), p)...)
	p.Items = append(p.Items, drawMachines(newDice(seed, "machines"), p)...)
	slices.SortStableFunc(p.Items, func(a, b Item) int { return cmp.Compare(a.At, b.At) })
	return p
}

func drawGroup(d dice) GroupPlan {
	g := GroupPlan{
		Members: pick(d, []int{2, 3, 3, 3}), Fast: d.chance(70), Lease: d.between(time.Second, 3*time.Second),
		Cooldown: pick(d, []time.Duration{0, 10 * time.Second, 40 * time.Second}), Levels: pick(d, []int{1, 1, 2}),
		Refence: d.chance(60), Routes: d.chance(80), Refuses: d.chance(85), Grace: pick(d, []time.Duration{0, 0, 0, 4 * time.Second}),
		Minimum: pick(d, []time.Duration{0, 0, time.Second}),
	}
	g.MaxLoss = pick(d, []uint64{0, 0, 500, 3000})
	switch d.IntN(4) {
	case 0: // asynchronous
	default:
		g.SyncNeed = 1
		if g.Members == 3 && d.chance(25) {
			g.SyncNeed = 2
		}
	}
	return g
}

func drawItem(d dice, allowed map[string]bool, p *Plan) (Item, bool) {
	sum := 0
	for _, k := range kinds {
		sum += k.weight
	}
	n := d.IntN(sum)
	for _, k := range kinds {
		if n -= k.weight; n >= 0 {
			continue
		}
		i := Item{
			Kind: k.name, Node: d.IntN(p.Nodes), Group: d.IntN(len(p.Groups)), Member: d.IntN(3), For: d.between(100*time.Millisecond, 15*time.Second),
			Amount: d.IntN(1000),
		}
		if d.chance(50) { // the one that matters most, as it is then
			i.Member = -1
		}
		if d.chance(40) {
			i.Node = -1
		}
		if d.chance(25) {
			i.For *= 4
		}
		return i, allowed[k.name]
	}
	return Item{}, false
}

// drawRouters is what goes wrong around routers: in half of the runs they forget, and an arbiter is struck where it brings a route back.
func drawRouters(d dice, p *Plan) []Item {
	if d.chance(50) {
		return nil
	}
	var items []Item
	for range 1 + d.IntN(8) {
		at := d.between(12*time.Second, p.Length)
		items = append(items, Item{Kind: "router-forgets", At: at, Group: d.IntN(len(p.Groups)), Amount: d.IntN(1000)})
		if d.chance(30) {
			items = append(items, Item{
				Kind: pick(d, []string{"crash", "bounce", "op-pause", "op-failover", "op-adopt", "kill", "freeze", "slow", "dup", "router"}), At: at + d.between(0, 12*time.Second), Node: -1,
				Group: d.IntN(len(p.Groups)), Member: -1, For: d.between(200*time.Millisecond, 12*time.Second), Amount: d.IntN(1000),
			})
		}
	}
	for range d.IntN(3) {
		items = append(items, Item{
			Kind: pick(d, []string{"kill", "freeze", "pause", "cut-node", "election", "crash", "op-pause", "op-failover"}), Hook: pick(d, rerouteHooks), Count: d.IntN(4),
			For: d.between(200*time.Millisecond, 25*time.Second), Amount: d.IntN(1000), Member: -1, Group: d.IntN(len(p.Groups)),
		})
	}
	return append(items, drawMistakes(d, p)...)
}

// drawMistakes is what goes wrong about who is believed to be there: an arbiter proposes reroutes by its own mistake, mostly beside something that
// keeps others from seeing the writer, or writes from it, and a router finds members dead that are alive.
func drawMistakes(d dice, p *Plan) []Item {
	var items []Item
	for range d.IntN(4) {
		at, group := d.between(12*time.Second, p.Length), d.IntN(len(p.Groups))
		items = append(items, Item{Kind: pick(d, []string{"misread", "misread", "router-blind"}), At: at, Node: d.IntN(p.Nodes+1) - 1, Group: group, Member: -1, For: d.between(time.Second, 30*time.Second)})
		if d.chance(70) {
			items = append(items, Item{
				Kind: pick(d, []string{"crash", "bounce", "full", "stall", "host-freeze", "cut-member-some", "election", "kill", "reset-streams", "router-forgets"}),
				At:   max(at-d.between(0, 5*time.Second), 12*time.Second), Node: -1, Group: group, Member: -1, For: d.between(200*time.Millisecond, 20*time.Second), Amount: d.IntN(1000),
			})
		}
	}
	if d.chance(30) { // before the new leader has heard from anybody
		items = append(items, Item{Kind: "misread", Hook: "after-commit-begin-reign", Count: d.IntN(4), Group: d.IntN(len(p.Groups)), Member: -1, For: d.between(time.Second, 5*time.Second)})
	}
	return items
}

// drawBlackouts gives groups a cold start grace, and in some runs stops everything at once, to come back in any order.
func drawBlackouts(d dice, p *Plan) []Item {
	for i := range p.Groups {
		p.Groups[i].Cold = pick(d, []time.Duration{0, 0, 5 * time.Second, 20 * time.Second})
	}
	if d.chance(75) {
		return nil
	}
	return []Item{{Kind: "blackout", At: d.between(12*time.Second, p.Length-10*time.Second), For: d.between(time.Second, 30*time.Second), Amount: d.IntN(1000)}}
}

// drawFleet makes a fleet of some runs, one in thirty, and most of it loses its primaries at once, for a while or for good.
func drawFleet(d dice, p *Plan) []Item {
	if d.IntN(30) > 0 {
		return nil
	}
	for len(p.Groups) < 7 {
		g := drawGroup(d)
		g.Members, g.SyncNeed, g.Fast = 2, min(g.SyncNeed, 1), true
		p.Groups = append(p.Groups, g)
	}
	at, back := d.between(12*time.Second, 30*time.Second), d.IntN(2)
	var items []Item
	for i := range p.Groups[:4+d.IntN(4)] {
		items = append(items, Item{Kind: "crash", At: at + d.between(0, 800*time.Millisecond), Group: i, For: d.between(10*time.Second, 40*time.Second), Amount: back})
	}
	return items
}

// drawEchoes delivers outcomes once more, in a quarter of the runs: soon after they counted, or long after.
func drawEchoes(d dice, p *Plan) []Item {
	if d.chance(75) {
		return nil
	}
	var items []Item
	for range 1 + d.IntN(4) {
		i := Item{Kind: "outcome-again", Node: -1, Group: d.IntN(len(p.Groups)), Member: -1, Amount: d.IntN(1000)}
		if d.chance(50) {
			i.At = d.between(15*time.Second, p.Length)
		} else {
			i.Hook, i.Count = pick(d, []string{"after-commit-conclude", "after-commit-acquire-lease", "after-commit-intend-isolate", "after-commit-intend-promote"}), d.IntN(4)
		}
		items = append(items, i)
	}
	return items
}

// drawMachines is what goes wrong around a machine that two groups share, in most of the runs with one: both primaries are on it and die, and the
// leader is struck where it fences for one of them, so that another one is to fence it for the other (S15).
func drawMachines(d dice, p *Plan) []Item {
	if !p.SharedHost || len(p.Groups) < 2 || d.chance(25) {
		return nil
	}
	at, first := d.between(12*time.Second, 25*time.Second), d.IntN(2)
	return []Item{
		{Kind: pick(d, []string{"crash", "crash", "stall"}), At: at, Group: first, For: d.between(10*time.Second, 30*time.Second), Amount: 1},
		{Kind: pick(d, []string{"crash", "crash", "stall"}), At: at + d.between(0, 4*time.Second), Group: 1 - first, For: d.between(10*time.Second, 30*time.Second), Amount: 1},
		{
			Kind: pick(d, []string{"freeze", "freeze", "freeze", "kill", "cut-node"}), Hook: "before-effect-isolate", Count: pick(d, []int{0, 0, 1}),
			For: d.between(500*time.Millisecond, 12*time.Second), Amount: d.IntN(1000), Member: -1,
		},
	}
}

// rerouteHooks are the points of a reroute at which an arbiter may be struck.
var rerouteHooks = []string{
	"before-commit-StartOperation", "before-commit-StartOperation", "after-commit-StartOperation", "before-commit-acquire-lease", "after-commit-acquire-lease",
	"before-effect-promote", "after-effect-promote", "before-effect-route", "before-effect-route", "after-effect-route", "before-effect-verify", "after-effect-verify",
}

// Describe prints the plan.
func (p *Plan) Describe() string {
	var b strings.Builder
	fmt.Fprintf(&b, "seed %d: %d arbiters, snapshots every %d entries, %s, shared machine %v\n", p.Seed, p.Nodes, p.SnapshotEvery, p.Length, p.SharedHost)
	for i, g := range p.Groups {
		fmt.Fprintf(&b, "  group %d: %+v\n", i, g)
	}
	for _, i := range p.Items {
		fmt.Fprintf(&b, "  %s\n", i)
	}
	return b.String()
}
