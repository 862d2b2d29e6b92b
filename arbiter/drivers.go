package arbiter

import (
	"context"
	"time"

	"github.com/arbiter-ha/arbiter/failover"
)

// Fencer makes sure that a member cannot write, and proves it.
type Fencer interface {
	// Isolate fences a member. It can be repeated safely.
	Isolate(ctx context.Context, member failover.MemberSpec, policy failover.Policy, answers Answers) (failover.Proof, []failover.StepTime)
	// ReadBack is its read-only twin.
	ReadBack(ctx context.Context, member failover.MemberSpec, policy failover.Policy, answers Answers) (failover.Proof, []failover.StepTime)
	// PathStatus asks the devices of a member for their status, which harms nobody.
	PathStatus(ctx context.Context, member failover.MemberSpec) failover.FencePath
}

// Answers looks whether a member still answers, so that what its devices claim of it isn't so, and says how it was seen.
type Answers = func(ctx context.Context, claimed failover.ProofGrade) (answers bool, detail string)

// Engine speaks the language of one kind of service.
type Engine interface {
	Primaries
	Standbys
}

// Primaries makes, proves and ends primaries.
type Primaries interface {
	// EndSessions ends the clients' sessions on a member, as far as it can be reached.
	EndSessions(ctx context.Context, member failover.MemberSpec, spec *failover.Spec, epoch failover.Epoch) failover.Outcome
	// Promote makes a member primary; Promoted is its read-only twin.
	Promote(ctx context.Context, a failover.Action) failover.Outcome
	Promoted(ctx context.Context, a failover.Action) failover.Outcome
	// VerifyThroughRoute proves a route by a write.
	VerifyThroughRoute(ctx context.Context, address string, a failover.Action) failover.Outcome
}

// Standbys says whom standbys follow.
type Standbys interface {
	// RaiseToken makes the epoch the token of a server, so that it refuses whoever acts under an older one (S9).
	RaiseToken(ctx context.Context, member failover.MemberSpec, spec *failover.Spec, epoch failover.Epoch) failover.Outcome
	// StopFollowing raises the token of one standby, makes it follow nobody, waits for its replay and reads its position.
	StopFollowing(ctx context.Context, member failover.MemberSpec, spec *failover.Spec, epoch failover.Epoch, systemID string) failover.MemberPosition
	// Point makes a standby follow a primary; AwaitFollowing waits until it does.
	Point(ctx context.Context, standby, primary failover.MemberSpec, spec *failover.Spec, epoch failover.Epoch, systemID string) failover.Outcome
	AwaitFollowing(ctx context.Context, standby, primary failover.MemberSpec, spec *failover.Spec, epoch failover.Epoch) failover.Outcome
}

// Router sends clients to a member.
type Router interface {
	// Close keeps clients away from the members and ends their sessions there.
	Close(ctx context.Context, a failover.Action, members ...failover.MemberName) error
	// Open sends clients to one member and to no other, and reads that back.
	Open(ctx context.Context, a failover.Action, member failover.MemberName) error
}

// Finding is one thing that would keep an action from working, or that is careless.
type Finding struct {
	// Blocks says that an action would fail, or not keep what was promised; otherwise it is advice.
	Blocks bool
	// Halts says of a blocking one at a member that a failover to it would stop half way.
	Halts bool
	// Unreachable says that there was no answer at all.
	Unreachable bool
	// NotAsked says that this arbiter had no place left to ask: nothing is known of what was to be looked at.
	NotAsked bool
	Member   failover.MemberName // where it isn't plain from what was looked at
	What     string              // without secrets
	Next     string              // what to do
}

// RouteLook is what a look at a route came to.
type RouteLook struct {
	// Astray is where it leads instead of to the primary alone, each of one member, and could be led there; empty if it leads there.
	Astray []Finding
	// Unread is why that isn't known; nil if it is.
	Unread *Finding
}

// Settled is where the clients of a group belong by the committed state.
type Settled struct {
	// Primary is empty while there is none, or an operation may be changing that.
	Primary failover.MemberName
	// Moving says that an operation is under way.
	Moving   bool
	Epoch    failover.Epoch
	SystemID string
	// LeftAlone says why nobody leads clients back there by himself; empty: somebody does.
	LeftAlone string
}

// Inspectors look for what would keep actions from working. They change nothing, so they need no epoch.
type Inspectors struct {
	// Member looks at the service itself: privileges, settings, whether it can be reached.
	Member func(ctx context.Context, member failover.MemberSpec, spec *failover.Spec) []Finding
	// Fence looks at all devices of a member, and asks them for their status.
	Fence func(ctx context.Context, member failover.MemberSpec) []Finding
	// Route asks a router whether it knows the members, and sends clients to the settled primary, if there is one.
	Route func(ctx context.Context, route failover.Route, group failover.GroupName, spec *failover.Spec, settled Settled) []Finding
	// Arrival connects through a route, as clients do, and tells where that leads unless it is to the settled primary.
	Arrival func(ctx context.Context, route failover.Route, spec *failover.Spec, settled Settled) []Finding
	// Astray looks where a route leads. The epoch is the group's: a router that knows a newer one answers nobody else.
	Astray func(ctx context.Context, route failover.Route, group *failover.Group, primary failover.MemberName) RouteLook
	// RunsProgram says whether looking at a route runs a program on this machine.
	RunsProgram func(route failover.Route) bool
}

// Drivers are all ways to the outside world that actions take.
type Drivers struct {
	Fencer Fencer
	Engine func(failover.Engine) (Engine, error)
	// Router reads a route's settings within the context.
	Router func(context.Context, failover.Route) (Router, error)
	// Answers is a fresh look at whether a member answers, by this arbiter alone, for at most the given time.
	Answers func(member failover.MemberSpec, wait time.Duration) Answers
	Inspect Inspectors
}
