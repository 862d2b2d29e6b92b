package screen

import (
	"fmt"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	arbiterv1 "github.com/arbiter-ha/arbiter/proto/arbiter/v1"
)

// Group draws one group with its members, each as the arbiters see it.
func Group(s Style, r *arbiterv1.GetStatusResponse) string {
	p := s.page()
	p.line("%s", statusAnswer(s, r))
	p.line("%s", ArbitersLine(s, r))
	arbiterNotes(p, r)
	p.labelled("", "next:", leaderlessAdvice(r))
	for _, g := range r.Groups {
		p.line("")
		p.line("%s", groupLine(s, g))
		statusNotes(p, s, g)
		rows := make([][]string, len(g.Members))
		for i, m := range g.Members {
			rows[i] = memberRow(s, g, m)
		}
		header := []string{"MEMBER", "ZONE", "ROLE", "AUTHORITY", "STATUS", "LAG", "READY", "EPOCH", "FENCE", "SEEN BY"}
		p.table(header, rows, func(i int) {
			m := g.Members[i]
			if m.Reason != "" && m.Status != "up" {
				p.labelled("  ", m.Status+":", []string{m.Reason + lastSeen(m)})
			}
			if m.Authority != "WRITER" && len(m.WhyNotEligible) > longestCell {
				p.labelled("  ", "not ready:", []string{m.WhyNotEligible})
			}
			p.labelled("  ", "fence:", fenceNote(m.Armed, m.Fence))
			p.labelled("  ", "proof:", provenText(s, m))
		})
	}
	return p.String()
}

// provenText is what says that a member can't write, and when that was proven. Under one that runs it was true once.
func provenText(s Style, m *arbiterv1.MemberStatus) []string {
	switch {
	case m.Proof == "" || m.Status == "up" || m.Status == "degraded":
		return nil
	case m.Proven == nil:
		return []string{m.Proof}
	}
	return []string{fmt.Sprintf("%s, at %s (%s ago)", m.Proof, s.moment(m.Proven), s.since(m.Proven))}
}

func groupLine(s Style, g *arbiterv1.GroupStatus) string {
	epoch := "no epoch yet"
	if g.Epoch > 0 {
		epoch = fmt.Sprintf("epoch %d since %s", g.Epoch, s.moment(g.EpochSince))
	}
	state := stateCell(s, g)
	if held := g.Operation.GetHeldSince(); held != nil {
		state += " for " + s.since(held)
	}
	parts := []string{
		s.strong(g.Group), state, epoch, loseText(s, g), fenceCell(s, g.Armed, g.Fence), modeCell(s, g), fmt.Sprintf("spec %d", g.SpecVersion),
	}
	if g.LagAge != nil {
		parts = append(parts, "lag as seen "+briefProto(g.LagAge)+" ago")
	}
	if g.EpochGrade != "" {
		parts = append(parts, "epoch check "+g.EpochGrade)
	}
	if g.Lease != nil {
		parts = append(parts, "lease of "+g.Lease.Holder)
	}
	return strings.Join(parts, " · ")
}

// loseText says what a failover would lose, and how good that is.
func loseText(s Style, g *arbiterv1.GroupStatus) string {
	switch {
	case g.WouldLose == "unknown":
		return s.warn("unknown what it would lose")
	case g.LossGrade == "" || g.LossGrade == "estimate":
		return "would lose " + loseCell(s, g)
	}
	return "would lose " + loseCell(s, g) + " by " + g.LossGrade + " bound"
}

func memberRow(s Style, g *arbiterv1.GroupStatus, m *arbiterv1.MemberStatus) []string {
	authority := m.Authority
	switch authority {
	case "WRITER":
		authority = s.good(authority)
	case "REVOKED":
		authority = s.bad(authority)
	}
	fence := fenceCell(s, m.Armed, m.Fence)
	if m.Armed && m.FenceAge != nil {
		fence += ", " + briefProto(m.FenceAge) + " ago"
	}
	return []string{
		m.Member, orDash(m.Zone), orDash(m.Role), orDash(authority), verdictCell(s, m.Status), agedLag(amountBehind(m.LagBytes), m.LagAge),
		readyCell(s, g, m), tokenCell(m.TokenEpoch), fence, seenCell(s, m.Views),
	}
}

// tokenCell is the epoch of the token that was read on a member. There is no epoch 0: no token was found, or nobody has read it.
func tokenCell(epoch uint64) string {
	if epoch == 0 {
		return "-"
	}
	return fmt.Sprint(epoch)
}

// oldLag is from when on a distance is shown with its age: it may have grown.
const oldLag = 10 * time.Second

// agedLag says of an old distance how old it is.
func agedLag(cell string, age *durationpb.Duration) string {
	if cell == "-" || age == nil || age.AsDuration() < oldLag {
		return cell
	}
	return cell + ", " + briefProto(age) + " ago"
}

// lastSeen says of a member that doesn't answer when it did last.
func lastSeen(m *arbiterv1.MemberStatus) string {
	if m.SeenAge == nil || m.Status != "down" && m.Status != "unknown" {
		return ""
	}
	return fmt.Sprintf(" (last seen %s ago)", briefProto(m.SeenAge))
}

func verdictCell(s Style, status string) string {
	switch status {
	case "up":
		return s.good(status)
	case "down":
		return s.bad(status)
	}
	return s.warn(orDash(status))
}

func readyCell(s Style, g *arbiterv1.GroupStatus, m *arbiterv1.MemberStatus) string {
	switch {
	case m.Member == g.BeingPromoted:
		return s.warn("being promoted")
	case m.Authority == "WRITER":
		return "-"
	case notFollowing(m):
		return s.warn("no: not following")
	case m.Eligible && m.Sync:
		return "ready (sync)"
	case m.Eligible:
		return "ready"
	case m.WhyNotEligible != "" && len(m.WhyNotEligible) <= longestCell:
		return s.warn("no: " + m.WhyNotEligible)
	}
	return s.warn("no")
}

// seenCell counts the views: "up 3", or "down 2, up 1".
func seenCell(s Style, views []*arbiterv1.View) string {
	var order []string
	count := map[string]int{}
	for _, v := range views {
		status := orDash(v.Status)
		if !v.Counts {
			status = "not counted"
		}
		if count[status] == 0 {
			order = append(order, status)
		}
		count[status]++
	}
	parts := make([]string, len(order))
	for i, status := range order {
		parts[i] = fmt.Sprintf("%s %d", status, count[status])
	}
	return orDash(strings.Join(parts, ", "))
}
