package failover

import (
	"fmt"
	"sort"
	"strconv"
	"strings"
	"time"
)

// seen is what a test says that an arbiter sees of a member.
type seen struct {
	reason   Reason
	role     Role
	writes   bool
	position LSN
	timeline uint32
	grows    bool
	stale    bool
	old      bool
	idle     bool
	system   string
	token    Epoch
	accepted bool          // a connection, without an answer
	since    time.Duration // a connection was accepted last
}

func primaryAt(p LSN) seen {
	return seen{reason: ReasonAnswered, role: RolePrimary, writes: true, position: p, system: "sys1"}
}

func standbyAt(p LSN) seen {
	return seen{reason: ReasonAnswered, role: RoleStandby, position: p, system: "sys1"}
}
func dead(r Reason) seen { return seen{reason: r} }

// observation makes what a prober would send. Primaries name the synchronous standbys of the spec.
func (s seen) observation(g GroupName, m MemberName, sync SyncRule, asOf Index, since WallTime) Observation {
	o := Observation{
		Group: g, Member: m, AsOf: asOf, Since: since,
		Checks: []CheckState{{Name: "postgres", Evidence: Evidence{Reason: s.reason, Accepted: s.accepted}}},
	}
	if s.accepted || s.since > 0 {
		o.Checks[0].Evidence.AcceptedAt = since - WallTime(s.since)
	}
	o.Facts = Facts{Role: s.role, AcceptsWrites: s.writes, SystemID: s.system, Timeline: s.timeline, Epoch: s.token, Stale: s.stale, Old: s.old}
	switch s.role {
	case RolePrimary:
		o.Facts.Written, o.Facts.SyncRule = s.position, sync
	case RoleStandby:
		o.Facts.Received, o.Facts.Replayed, o.Facts.Streaming, o.Facts.ReceivingGrows = s.position, s.position, !s.stale && !s.idle, s.grows
	}
	return o
}

// testSpec is a group with sensible short times; every member has a fence of its own.
func testSpec(members ...MemberName) *Spec {
	spec := &Spec{
		Engine: EnginePostgres,
		Health: Health{Profile: "fast", Checks: []Check{{Name: "postgres", Kind: CheckPostgres, Required: true}}},
		Policy: Policy{
			Automation: AutomationFull, Cooldown: 5 * time.Minute, LeaseDuration: 2 * time.Second, RefenceRogues: true,
			IsolateTimeout: 20 * time.Second, CatchUpTimeout: 5 * time.Second, PromoteTimeout: 10 * time.Second,
			RouteTimeout: 5 * time.Second, VerifyTimeout: 5 * time.Second, ConfigureTimeout: 5 * time.Second,
			MaxAttempts: 3, RetryInterval: 10 * time.Second,
		},
		Routes: []Route{{Router: "haproxy", Name: "lb", VerifyAddress: "db:5432"}},
	}
	for _, m := range members {
		spec.Members = append(spec.Members, MemberSpec{
			Name: m, Zone: "z-" + string(m), Address: string(m) + ":5432", Priority: 100, ApplicationName: string(m),
			Fence: []FenceLevel{{Devices: []FenceDevice{{Method: "fence_test", Timeout: time.Second, Settings: []Setting{{Key: "plug", Value: string(m)}}}}}},
		})
	}
	sort.Slice(spec.Members, func(i, j int) bool { return spec.Members[i].Name < spec.Members[j].Name })
	return spec
}

// testSpecOf is a spec whose members are servers of this group's own, on the same machines as those of other groups: the number at the end
// of its name is added to the port.
func testSpecOf(group GroupName, members ...MemberName) *Spec {
	spec := testSpec(members...)
	number, _ := strconv.Atoi(strings.TrimLeft(string(group), "abcdefghijklmnopqrstuvwxyz-"))
	for i := range spec.Members {
		spec.Members[i].Address = fmt.Sprintf("%s:%d", spec.Members[i].Name, 5432+number)
	}
	return spec
}

// changeSpec copies a spec and changes it by key=value settings, as the scenarios write them.
func changeSpec(spec *Spec, settings []string) (*Spec, error) {
	c := *spec
	c.Members = append([]MemberSpec(nil), spec.Members...)
	for _, setting := range settings {
		key, value, _ := strings.Cut(setting, "=")
		if err := c.set(key, value); err != nil {
			return nil, err
		}
	}
	return &c, nil
}

func (s *Spec) set(key, value string) error {
	var err error
	duration := func(d *time.Duration) { *d, err = time.ParseDuration(value) }
	number := func(n any) { _, err = fmt.Sscan(value, n) }
	p := &s.Policy
	switch key {
	case "max_loss":
		if value != "none" {
			number(&p.MaxLossBytes)
		}
	case "automation":
		p.Automation = Automation(value)
	case "cooldown":
		duration(&p.Cooldown)
	case "lease":
		duration(&p.LeaseDuration)
	case "minimum_unhealthy":
		duration(&s.Health.MinimumUnhealthy)
	case "restart_grace":
		duration(&s.Health.RestartGrace)
	case "cold_start_grace":
		duration(&s.Health.ColdStartGrace)
	case "also_down":
		p.AlsoDown = nil
		for _, reason := range strings.Split(value, ",") {
			p.AlsoDown = append(p.AlsoDown, Reason(reason))
		}
	case "down_votes":
		number(&p.DownVotes)
	case "refence_rogues":
		p.RefenceRogues = value == "yes"
	case "accept":
		p.AcceptProofs = nil
		for _, grade := range strings.Split(value, ",") {
			p.AcceptProofs = append(p.AcceptProofs, ProofGrade(grade))
		}
	case "routes":
		s.Routes = nil
		if value != "none" {
			s.Routes = []Route{{Router: "haproxy", Name: value}}
		}
	case "priority", "address", "fence":
		err = s.setMember(key, value)
	default:
		err = fmt.Errorf("unknown setting %q", key)
	}
	return err
}

// setMember takes member:value.
func (s *Spec) setMember(key, value string) error {
	name, value, _ := strings.Cut(value, ":")
	for i := range s.Members {
		m := &s.Members[i]
		if string(m.Name) != name {
			continue
		}
		switch key {
		case "priority":
			_, err := fmt.Sscan(value, &m.Priority)
			return err
		case "address":
			m.Address = value
		case "fence":
			plug, user, _ := strings.Cut(value, "/")
			m.Fence = []FenceLevel{{Devices: []FenceDevice{{Method: "fence_test", Settings: []Setting{{Key: "login", Value: user}, {Key: "plug", Value: plug}}}}}}
		}
		return nil
	}
	return fmt.Errorf("no member %q", name)
}
