package fake

import (
	"context"
	"errors"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	arbiterv1 "github.com/arbiter-ha/arbiter/proto/arbiter/v1"
)

const (
	// SystemID is the members' system identifier.
	SystemID = "7000000000000000001"
	// Lease is how long a lease lasts.
	Lease = 1500 * time.Millisecond
	// FrontRoute is the group's one route.
	FrontRoute = "front"

	checkName = "postgres" // of the one check
)

// Times are those in which the two kinds of cluster differ.
type Times struct {
	Look     time.Duration // how often members are looked at
	Isolate  time.Duration // the most for an isolation
	Outage   time.Duration // as promised
	Cooldown time.Duration
	Retry    time.Duration
}

// Spec is that of a group of three, db1 to db3, with every default filled in.
func Spec(group string, t Times) *arbiterv1.GroupSpec {
	step := durationpb.New(5 * time.Second)
	written := &arbiterv1.GroupSpec{
		Group: group, Engine: "postgres",
		Connect: &arbiterv1.Connect{User: "arbiter", Database: proto.String("postgres"), Sslmode: proto.String("disable")},
		Health: &arbiterv1.Health{Profile: proto.String("fast"), Checks: []*arbiterv1.Check{{
			Name: checkName, Kind: "postgres", Interval: durationpb.New(t.Look), Timeout: durationpb.New(t.Look),
			Failures: proto.Uint32(1), Successes: proto.Uint32(1), Required: proto.Bool(true),
		}}},
		Policy: &arbiterv1.Policy{
			Automation: proto.String("full"), PromisedOutage: durationpb.New(t.Outage), Cooldown: durationpb.New(t.Cooldown),
			Lease: durationpb.New(Lease), RefenceRogues: proto.Bool(true),
			Timeouts: &arbiterv1.Timeouts{
				Isolate: durationpb.New(t.Isolate), CatchUp: step, Promote: step, Configure: step, Route: step, Verify: step,
			},
			MaxAttempts: proto.Uint32(3), RetryInterval: durationpb.New(t.Retry),
		},
		Routes: []*arbiterv1.Route{{Router: "command", Name: proto.String(FrontRoute), VerifyAddress: proto.String(FrontRoute + ":5432")}},
	}
	for _, name := range []string{"db1", "db2", "db3"} {
		plug := &arbiterv1.Value{Value: &arbiterv1.Value_Literal{Literal: name}}
		written.Members = append(written.Members, &arbiterv1.MemberSpec{
			Name: name, Address: name + ":5432", Priority: proto.Uint32(100), ApplicationName: proto.String(name),
			Fence: []*arbiterv1.FenceLevel{{Devices: []*arbiterv1.FenceDevice{{
				Device: "fence_fake", Timeout: durationpb.New(Lease), Settings: map[string]*arbiterv1.Value{"plug": plug},
			}}}},
		})
	}
	return written
}

// Specs takes what is written as complete.
type Specs struct{}

// Effective implements arbiter.Specs.
func (Specs) Effective(written *arbiterv1.GroupSpec) (*arbiterv1.GroupSpec, error) {
	if written == nil {
		return nil, errors.New("no spec")
	}
	return written, nil
}

// LongestOutage is what Specs says of every spec.
const LongestOutage = 12 * time.Second

// LongestOutage implements arbiter.Specs.
func (Specs) LongestOutage(*arbiterv1.GroupSpec) time.Duration { return LongestOutage }

// Differences implements arbiter.Specs: it only says whether there are any.
func (Specs) Differences(before, after *arbiterv1.GroupSpec) []*arbiterv1.Difference {
	if proto.Equal(before, after) {
		return nil
	}
	return []*arbiterv1.Difference{{Path: "group", Before: before.GetGroup(), After: after.GetGroup()}}
}

// UnknownSetting is what no fence agent knows.
const UnknownSetting = "colour"

// AbsentAgent is a fence agent that no machine has, of which there is a note.
const AbsentAgent = "fence_absent"

// ErrUnknownSetting is what agents say of it.
var ErrUnknownSetting = errors.New("the agent does not know that setting")

// EffectiveHere implements arbiter.Specs.
func (s Specs) EffectiveHere(ctx context.Context, written *arbiterv1.GroupSpec) (*arbiterv1.GroupSpec, []string, error) {
	if _, bounded := ctx.Deadline(); !bounded {
		return nil, nil, errors.New("agents are asked without a time limit")
	}
	var notes []string
	for _, m := range written.GetMembers() {
		if m.Fence[0].Devices[0].Settings[UnknownSetting] != nil {
			return nil, nil, ErrUnknownSetting
		}
		if m.Fence[0].Devices[0].Device == AbsentAgent {
			notes = append(notes, AbsentAgent+" is not here")
		}
	}
	effective, err := s.Effective(written)
	return effective, notes, err
}
