package lab

import (
	"context"
	"fmt"
	"strings"

	"github.com/arbiter-ha/arbiter/client"
	"github.com/arbiter-ha/arbiter/config"
	"github.com/arbiter-ha/arbiter/internal/lab/database"
	arbiterv1 "github.com/arbiter-ha/arbiter/proto/arbiter/v1"
)

// Group is the name of the protected group.
const Group = "orders-db"

// Spec is what the group's YAML says; the zero value is what the demo uses.
type Spec struct {
	// Name of the group; Group by default.
	Name string
	// Number of the group, among those that the lab has servers for; the first is 0.
	Number int
	// Profile of health; fast by default.
	Profile string
	// Health replaces what Profile says of health, as YAML.
	Health string
	// Policy are further lines of the policy, as YAML.
	Policy []string
	// Fence replaces a database's fence, as YAML; by default it is the power switch, reached over the network.
	Fence func(member *database.Server) string
	// WithoutVerify leaves out the proof by a write through the routed address.
	WithoutVerify bool
}

// PowerFence is the fence of a member: fence_lab at the power switch, by network.
func (l *Lab) PowerFence(member Member) string {
	return fmt.Sprintf("[[{device: fence_lab, ip: %q, ipport: %d, plug: %s, proof: off}]]",
		l.Site.Host(PowerHost).Addr(), l.powerPort, member.Name())
}

// YAML is the group spec, as an operator would write it.
func (l *Lab) YAML(spec Spec) string {
	name, profile := spec.Name, spec.Profile
	if name == "" {
		name = Group
	}
	if profile == "" {
		profile = "fast"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "group: %s\nengine: %s\nmembers:\n", name, l.engine())
	for i, m := range l.servicesOf(spec.Number) {
		fence := l.PowerFence(m)
		if db, ok := m.(*database.Server); ok && spec.Fence != nil {
			fence = spec.Fence(db)
		}
		fmt.Fprintf(&b, "  - {name: %s, zone: %s, address: %q, fence: %s}\n", m.Name(), ArbiterName(i%len(l.Arbiters)), l.addressIn(spec.Number, m), fence)
	}
	fmt.Fprintf(&b, "connect: %s\n", l.connect())
	health := spec.Health
	if health == "" {
		health = "{profile: " + profile + "}"
	}
	fmt.Fprintf(&b, "health: %s\npolicy:\n  automation: full\n", health)
	for _, line := range spec.Policy {
		fmt.Fprintf(&b, "  %s\n", line)
	}
	verify := ""
	if !spec.WithoutVerify {
		verify = fmt.Sprintf(", verify_address: %q", l.RoutedAddress())
	}
	fmt.Fprintf(&b, "routes:\n  - {%s%s}\n", l.route(), verify)
	return b.String()
}

// Protect applies the spec, adopts the group, and waits until it is ready for a failover.
func (l *Lab) Protect(ctx context.Context, spec Spec) error {
	c, err := l.Client()
	if err != nil {
		return err
	}
	defer c.Close()
	parsed, _, err := config.LoadGroup("lab.yaml", []byte(l.YAML(spec)))
	if err != nil {
		return fmt.Errorf("read the lab's own group spec: %w", err)
	}
	if _, err := c.ApplyGroup(ctx, &arbiterv1.ApplyGroupRequest{Change: change(), Spec: parsed}); err != nil {
		return fmt.Errorf("apply group %s: %w", parsed.GetGroup(), err)
	}
	// Adoption needs views of a quorum, which take a round of checks to come.
	if err := await(ctx, "the adoption of "+parsed.GetGroup(), func() error {
		_, err := c.Adopt(ctx, &arbiterv1.AdoptRequest{Change: change(), Group: parsed.GetGroup()})
		return err
	}); err != nil {
		return err
	}
	_, err = l.AwaitReady(ctx, parsed.GetGroup())
	return err
}

func change() *arbiterv1.Change {
	return &arbiterv1.Change{RequestId: client.NewRequestID(), Reason: "laboratory"}
}

// AwaitReady waits until the group is steady and armed, with a candidate to promote, and returns its status.
func (l *Lab) AwaitReady(ctx context.Context, group string) (*arbiterv1.GroupStatus, error) {
	return l.AwaitGroup(ctx, group, "ready for a failover", func(g *arbiterv1.GroupStatus) bool {
		return g.GetStage() == "steady" && g.GetAdopted() && g.GetArmed() && g.GetCandidate() != ""
	})
}

// AwaitGroup waits until the group's status is as wanted.
func (l *Lab) AwaitGroup(ctx context.Context, group, what string, wanted func(*arbiterv1.GroupStatus) bool) (*arbiterv1.GroupStatus, error) {
	c, err := l.Client()
	if err != nil {
		return nil, err
	}
	defer c.Close()
	var found *arbiterv1.GroupStatus
	err = await(ctx, group+" to be "+what, func() error {
		status, err := c.GetStatus(ctx, &arbiterv1.GetStatusRequest{Group: group})
		if err != nil {
			return err
		}
		for _, g := range status.GetGroups() {
			if g.GetGroup() == group && wanted(g) {
				found = g
				return nil
			}
		}
		return fmt.Errorf("status: %v", status.GetGroups())
	})
	return found, err
}
