package screen

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/arbiter-ha/arbiter/config"
	"github.com/arbiter-ha/arbiter/internal/spans"
	arbiterv1 "github.com/arbiter-ha/arbiter/proto/arbiter/v1"
)

// Started says that a failover was begun.
func Started(s Style, group string, r *arbiterv1.FailoverResponse) string {
	p := s.page()
	p.line("%s", s.strong(fmt.Sprintf("failover of %s has begun (operation %s).", group, orDash(r.Operation))))
	if plan := strings.TrimSpace(r.Plan); plan != "" && !strings.Contains(plan, r.Operation) {
		p.line("%s", plan)
	}
	return p.String()
}

// Applied says what became of a spec.
func Applied(group string, r *arbiterv1.ApplyGroupResponse, dryRun bool) string {
	p := &page{}
	switch {
	case dryRun:
		p.line("%s would be %s. Nothing was done.", group, orDash(r.Result))
	case r.Result == "unchanged":
		p.line("%s is unchanged, version %d.", group, r.Version)
	default:
		p.line("%s is %s, version %d.", group, orDash(r.Result), r.Version)
	}
	p.labelled("  ", "note:", r.Notes)
	if !dryRun && r.Result == "changed" { // a note says that a new one is to be adopted next
		p.line("  next: arbiterctl check %s", group)
	}
	return p.String()
}

// ArbiterFile says what an arbiter's file means.
func ArbiterFile(f *config.ArbiterFile) string {
	p := &page{}
	bears := "bears the loss of " + fmt.Sprint(len(f.Arbiters)/2)
	p.line("arbiter %s is valid; one of %d, which %s.", f.Node, len(f.Arbiters), bears)
	for _, a := range f.Arbiters {
		zone := ""
		if a.Zone != "" {
			zone = " in " + a.Zone
		}
		p.line("  %s%s: raft %s, grpc %s", a.ID, zone, a.Raft, a.GRPC)
	}
	if len(f.ReferencePoints) > 0 {
		p.line("  reference points beside the other arbiters: %s", strings.Join(f.ReferencePoints, ", "))
	}
	return p.String()
}

// Contexts lists the clusters of arbiters that the operator works with.
func Contexts(s Style, c *config.Contexts, file string) string {
	p := s.page()
	if len(c.Contexts) == 0 {
		p.line("No context yet (%s). Make one:", file)
		p.line("  arbiterctl contexts set NAME --address HOST:PORT,... --ca ca.crt --cert me.crt --key me.key")
		return p.String()
	}
	rows := make([][]string, len(c.Contexts))
	for i, one := range c.Contexts {
		mark := ""
		if one.Name == c.Current {
			mark = "*"
		}
		identity := one.TLS.Cert
		if one.InsecurePlaintext {
			identity = s.bad("INSECURE PLAINTEXT")
		}
		rows[i] = []string{mark, one.Name, strings.Join(one.Addresses, ", "), identity}
	}
	p.table([]string{"", "NAME", "ARBITERS", "CERTIFICATE"}, rows, nil)
	return p.String()
}

// Seen says what each arbiter sees of members that a person is about to vouch for. A name that nobody finds, as where DNS answers otherwise in
// another network, is not a machine that is silent.
func Seen(s Style, g *arbiterv1.GroupStatus, members ...string) string {
	var text strings.Builder
	for _, m := range g.Members {
		if !slices.Contains(members, m.Member) {
			continue
		}
		var sights []string
		unnamed, reached, refuses := false, false, false
		for _, v := range m.Views {
			sights = append(sights, v.Node+": "+cmp.Or(v.WhyNot, v.Reason, "it has not looked"))
			unnamed = unnamed || v.Counts && v.Reason == "name-not-found"
			reached = reached || v.Counts && v.Status != "unknown"
			refuses = refuses || v.Reason == "refused" || v.Reason == "reset"
		}
		fmt.Fprintf(&text, "What the arbiters see of %s now: %s.\n", m.Member, strings.Join(sights, "; "))
		if unnamed && !reached {
			text.WriteString("No arbiter has reached its address: its name is not found.\n")
		}
		text.WriteString(mayBeFrozen(s, m))
		if refuses {
			text.WriteString("Its machine refuses connections, so it runs: make sure that nothing of the service is left on it.\n")
		}
	}
	return text.String()
}

// mayBeFrozen warns of a machine that accepts connections though its service doesn't answer. That it did so before, or is said to by an arbiter whose view
// doesn't count, says that it ran then.
func mayBeFrozen(s Style, m *arbiterv1.MemberStatus) string {
	var last *timestamppb.Timestamp
	for _, v := range m.Views {
		for _, c := range v.Checks {
			if c.Accepted && v.Counts {
				return "IT ACCEPTS CONNECTIONS, SO IT RUNS: its machine was reached though the service doesn't answer. A frozen service writes again when it goes on, " +
					"beside the new primary: vouch only if the machine is without power now.\n"
			}
			if c.AcceptedAt != nil && (last == nil || c.AcceptedAt.AsTime().After(last.AsTime())) {
				last = c.AcceptedAt
			}
		}
	}
	if last == nil {
		return ""
	}
	return fmt.Sprintf("Its machine accepted a connection %s ago, without an answer of the service; it ran then. A frozen service writes again when it goes on, "+
		"beside the new primary: make sure that the machine is without power.\n", spans.Brief(max(0, s.Now.Sub(last.AsTime()).Truncate(time.Second))))
}
