package chaos

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// Kind is one way in which something breaks, or in which an operator interferes.
type Kind string

// The kinds of faults.
const (
	KillArbiter    Kind = "kill-arbiter"    // SIGKILL; started again at the end
	StopArbiter    Kind = "stop-arbiter"    // SIGSTOP, SIGCONT at the end
	ArbiterPower   Kind = "arbiter-power"   // the power of its host is cut
	CrashDatabase  Kind = "crash-database"  // SIGKILL to all of its processes
	KillPostmaster Kind = "kill-postmaster" // SIGKILL to the postmaster: orphans go on for a while
	StopDatabase   Kind = "stop-database"   // SIGSTOP to all of its processes, SIGCONT at the end
	FreezeHost     Kind = "freeze-host"     // everything on the host stands still
	DatabasePower  Kind = "database-power"  // the power of its host is cut
	CutOneWay      Kind = "cut-one-way"     // what one host sends to another one is lost
	CutTwoWays     Kind = "cut-two-ways"    // two hosts don't reach each other
	IsolateHost    Kind = "isolate-host"    // one host reaches nobody
	CutHalves      Kind = "cut-halves"      // two halves don't reach each other
	CutRing        Kind = "cut-ring"        // each host hears a majority, each another one
	LossyLink      Kind = "lossy-link"      // a host's cable loses packets
	SlowLink       Kind = "slow-link"       // a host's cable is so narrow that packets queue for up to a second
	DelayedLink    Kind = "delayed-link"    // a host's cable takes its time for every packet, for some longer than for others
	HungDisk       Kind = "hung-disk"       // whoever writes to the disk waits: a database's under its log, an arbiter's under all it has
	FullDisk       Kind = "full-disk"       // the same disk has no room left
	HungFence      Kind = "hung-fence"      // a power switch's outlet takes requests and never answers
	FailingFence   Kind = "failing-fence"   // an outlet fails to switch off for some tries
	GoneFence      Kind = "gone-fence"      // an outlet closes every connection
	AskFailover    Kind = "ask-failover"    // an operator moves the group
	PauseGroup     Kind = "pause-group"     // an operator pauses the group; resumed at the end
	HandOver       Kind = "hand-over"       // an operator moves leadership of the arbiters
)

// Roles that faults are aimed at. Standby and follower numbers count in the order of names, without the primary and the
// leader.
const (
	Primary  = "primary"
	Standby1 = "standby-1"
	Standby2 = "standby-2"
	Leader   = "leader"
	Follow1  = "follower-1"
	Follow2  = "follower-2"
	Router   = "router"
)

// Fault is one entry of a schedule.
type Fault struct {
	// At is when it comes, from the begin of the run; Length how long it stays.
	At, Length time.Duration
	Kind       Kind
	// Roles it hits. With two sides (CutOneWay, CutTwoWays, CutHalves) these are the one side and Others the other one.
	Roles, Others []string
	// Strength is packets lost in 10,000 (LossyLink), bytes per second (SlowLink), milliseconds (DelayedLink), or tries (FailingFence).
	Strength int
}

// String is one line of the printed schedule.
func (f Fault) String() string {
	words := fmt.Sprintf("%6.1fs  %-15s", f.At.Seconds(), f.Kind)
	if f.Length > 0 {
		words += fmt.Sprintf(" %4.1fs", f.Length.Seconds())
	} else {
		words += "      "
	}
	words += "  " + strings.Join(f.Roles, ",")
	if len(f.Others) > 0 {
		words += " | " + strings.Join(f.Others, ",")
	}
	if f.Strength > 0 {
		words += fmt.Sprintf(" (%d)", f.Strength)
	}
	return strings.TrimRight(words, " ")
}

// choice is what is drawn of one kind.
type choice struct {
	kind              Kind
	weight            int
	shortest, longest time.Duration
	roles             []string // one is drawn, unless all is set
	others            []string // likewise
	all               bool
	weakest, strength int
}

var (
	databaseRoles = []string{Primary, Primary, Primary, Standby1, Standby2} // the primary is what matters most
	arbiterRoles  = []string{Leader, Leader, Follow1, Follow2}
	everyRole     = []string{Primary, Standby1, Standby2, Leader, Follow1, Follow2}
)

// choices has every kind with its weight. Lengths are such that a fault is sometimes over before anybody acts on it, and
// mostly not.
var choices = []choice{
	{kind: KillArbiter, weight: 3, shortest: time.Second, longest: 10 * time.Second, roles: arbiterRoles},
	{kind: StopArbiter, weight: 3, shortest: time.Second, longest: 12 * time.Second, roles: arbiterRoles},
	{kind: ArbiterPower, weight: 2, shortest: 3 * time.Second, longest: 15 * time.Second, roles: arbiterRoles},
	{kind: CrashDatabase, weight: 4, shortest: time.Second, longest: 10 * time.Second, roles: databaseRoles},
	{kind: KillPostmaster, weight: 3, shortest: 2 * time.Second, longest: 8 * time.Second, roles: []string{Primary}},
	{kind: StopDatabase, weight: 3, shortest: time.Second, longest: 12 * time.Second, roles: databaseRoles},
	{kind: FreezeHost, weight: 2, shortest: time.Second, longest: 12 * time.Second, roles: databaseRoles},
	{kind: DatabasePower, weight: 3, shortest: 3 * time.Second, longest: 12 * time.Second, roles: databaseRoles},
	{kind: CutOneWay, weight: 3, shortest: 2 * time.Second, longest: 15 * time.Second, roles: everyRole, others: everyRole},
	{kind: CutTwoWays, weight: 3, shortest: 2 * time.Second, longest: 15 * time.Second, roles: everyRole, others: everyRole},
	{kind: IsolateHost, weight: 3, shortest: 2 * time.Second, longest: 12 * time.Second, roles: everyRole},
	{kind: CutHalves, weight: 2, shortest: 2 * time.Second, longest: 12 * time.Second, all: true},
	{kind: CutRing, weight: 2, shortest: 2 * time.Second, longest: 12 * time.Second, all: true},
	{kind: LossyLink, weight: 2, shortest: 3 * time.Second, longest: 15 * time.Second, roles: everyRole, weakest: 200, strength: 3000},
	{kind: SlowLink, weight: 2, shortest: 3 * time.Second, longest: 15 * time.Second, roles: everyRole, weakest: 4_000, strength: 40_000},
	{kind: DelayedLink, weight: 2, shortest: 3 * time.Second, longest: 15 * time.Second, roles: everyRole, weakest: 10, strength: 400},
	{kind: HungDisk, weight: 3, shortest: 2 * time.Second, longest: 12 * time.Second, roles: everyRole},
	{kind: FullDisk, weight: 2, shortest: 2 * time.Second, longest: 12 * time.Second, roles: everyRole},
	{kind: HungFence, weight: 1, shortest: 5 * time.Second, longest: 20 * time.Second, roles: databaseRoles},
	{kind: FailingFence, weight: 1, shortest: 5 * time.Second, longest: 20 * time.Second, roles: databaseRoles, weakest: 1, strength: 3},
	{kind: GoneFence, weight: 1, shortest: 5 * time.Second, longest: 20 * time.Second, roles: databaseRoles},
	{kind: AskFailover, weight: 2},
	{kind: PauseGroup, weight: 1, shortest: 2 * time.Second, longest: 8 * time.Second},
	{kind: HandOver, weight: 2},
}

const (
	// shortestGap and longestGap bound the time between the begins of two faults.
	shortestGap, longestGap = 1500 * time.Millisecond, 7 * time.Second
	// calmFirst is how long all goes well at first.
	calmFirst = 2 * time.Second
)

// Draw makes the schedule of a run: the same for the same seed and length.
func Draw(seed uint64, length time.Duration) []Fault {
	dice := rand.New(rand.NewPCG(seed, 0))
	var schedule []Fault
	for at := calmFirst; at < length; at += between(dice, shortestGap, longestGap) {
		f := drawOne(dice)
		f.At = at
		schedule = append(schedule, f)
	}
	return schedule
}

func drawOne(dice *rand.Rand) Fault {
	total := 0
	for _, c := range choices {
		total += c.weight
	}
	pick := dice.IntN(total)
	i := 0
	for ; pick >= choices[i].weight; i++ {
		pick -= choices[i].weight
	}
	c := choices[i]
	f := Fault{Kind: c.kind, Length: between(dice, c.shortest, c.longest)}
	if c.strength > 0 {
		f.Strength = c.weakest + dice.IntN(c.strength-c.weakest+1)
	}
	if c.all {
		f.Roles, f.Others = split(dice, c.kind)
		return f
	}
	if len(c.roles) > 0 {
		f.Roles = []string{c.roles[dice.IntN(len(c.roles))]}
	}
	if len(c.others) > 0 {
		others := slices.DeleteFunc(slices.Clone(c.others), func(role string) bool { return role == f.Roles[0] })
		f.Others = []string{others[dice.IntN(len(others))]}
	}
	return f
}

// split draws two sides, or the order of a ring. The router goes with one of the sides.
func split(dice *rand.Rand, kind Kind) (roles, others []string) {
	all := slices.Clone(everyRole)
	if kind == CutHalves {
		all = append(all, Router)
	}
	dice.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	if kind == CutRing {
		return all, nil
	}
	middle := len(all) / 2
	return all[:middle], all[middle:]
}

func between(dice *rand.Rand, shortest, longest time.Duration) time.Duration {
	if longest <= shortest {
		return shortest
	}
	return (shortest + time.Duration(dice.Int64N(int64(longest-shortest)))).Round(time.Millisecond)
}
