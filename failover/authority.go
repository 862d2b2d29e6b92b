package failover

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/arbiter-ha/arbiter/failover/devices"
)

// Authority is whether a member may be accepting writes, as far as the replicated state can prove.
type Authority string

// The authorities. A member of a group that was never adopted, or that was added since, has none of them.
const (
	AuthorityUnset   Authority = ""
	AuthorityWriter  Authority = "WRITER"  // may accept writes
	AuthorityRevoked Authority = "REVOKED" // told to stop; must be assumed to be still writing
	AuthorityNone    Authority = "NONE"    // proven unable to write
)

// Refusal is a safety rule saying no. Nothing was changed.
type Refusal struct {
	Rule string // "S0" to "S15", or empty for a plain precondition
	Why  string
	Next string // what the proposer can do about it
}

// Error says which rule refused, and why.
func (r *Refusal) Error() string {
	if r.Rule == "" {
		return r.Why
	}
	return r.Rule + ": " + r.Why
}

func refuse(rule, why string, args ...any) *Refusal {
	return &Refusal{Rule: rule, Why: fmt.Sprintf(why, args...)}
}

func (r *Refusal) advise(next string, args ...any) *Refusal {
	r.Next = fmt.Sprintf(next, args...)
	return r
}

// This file is where the safety rules of DESIGN section 2 live that are kept by the state machine. Each is one function;
// next*.go calls them and nothing else in the program is trusted to keep them.

// checkS0OneGroup asks that every server belongs to one group: each of two would promote a primary of its own after the server's death, and
// fence the other's as a rogue. It compares what specs can tell: one server under two names is for people to see.
func checkS0OneGroup(s *State, group GroupName, spec *Spec) *Refusal {
	ours := make(map[string]MemberName, len(spec.Members))
	for _, m := range spec.Members {
		ours[serverAt(m.Address)] = m.Name
	}
	for _, other := range s.Groups {
		if other.Name == group {
			continue
		}
		for _, m := range other.Spec.Members {
			if name, shared := ours[serverAt(m.Address)]; shared {
				return refuse("S0", "%s is at %s, where %s of group %s is: a server belongs to one group, or both would promote in it",
					name, m.Address, m.Name, other.Name).
					advise("if it is the same service under a new name, delete the old group first: arbiterctl delete %s", other.Name)
			}
		}
	}
	return nil
}

// checkS15Machines keeps known which machines whoever holds a lease of the group may still be acting on, though its operation has ended: a fence of one of
// them for another group waits for that lease. It is given back at once, or when it must have run out on any clock.
func checkS15Machines(g *Group) *Refusal {
	if g.Lease == nil {
		return nil
	}
	return refuse("S15", "%s may still be acting on the machines of %s, under its lease of epoch %d", g.Lease.Holder, g.Name, g.Lease.Epoch).
		advise("ask again in some seconds: the lease is given back once nothing runs under it, or when it has run out (policy.lease, %s)", time.Duration(g.Lease.Duration))
}

// serverAt is an address in the one form in which it is compared.
func serverAt(address string) string {
	host, port := address, ""
	if colon := strings.LastIndexByte(address, ':'); colon >= 0 {
		host, port = address[:colon], address[colon:]
	}
	return devices.Host(host) + port
}

// checkS0 decides whether m may be recorded as the writer. promote says that nobody writes and m is to be promoted.
func checkS0(s *State, g *Group, m MemberName, attested []MemberName) (promote bool, _ *Refusal) {
	if g.Member(m) == nil {
		return false, refuse("S0", "%s is not a member of %s", m, g.Name)
	}
	if writable := g.seenWritable(s); len(writable) > 1 {
		return false, refuse("S0", "%s accept writes at the same time", joinMembers(writable)).
			advise("stop all but one of them, by hand, before adopting the group")
	}
	for i, name := range attested {
		if name == m || g.Member(name) == nil || slices.Contains(attested[:i], name) {
			return false, refuse("S0", "%s can't be vouched for: it takes the other members than %s, each once", name, m)
		}
	}
	for _, other := range g.Members {
		if other.Name == m {
			continue
		}
		if refusal := checkS0Standby(s, g, m, other.Name, attested); refusal != nil {
			return false, refusal
		}
	}
	writers := g.countFresh(s, m, acceptsWrites)
	if writers >= s.Majority() {
		return false, nil
	}
	if writers == 0 && len(attested) == len(g.Members)-1 && g.countFresh(s, m, isStandby) >= s.Majority() {
		return true, nil
	}
	refusal := refuse("S0", "%d of %d arbiters see %s accepting writes, %d are needed", writers, len(s.Voters), m, s.Majority())
	if u, _ := g.unaskedOf(s, m); writers+u.nodes >= s.Majority() {
		return false, refusal.advise("%s", u.advice(g.Name))
	}
	return false, refusal.advise("see `arbiterctl explain %s` for what each arbiter sees", g.Name)
}

// checkS0Settled asks that nothing which was begun before can make another member a writer after the adoption: no lease is outstanding
// under which something may still run, and no promotion of another member may yet take effect (S7).
func checkS0Settled(g *Group, m MemberName, attested []MemberName) *Refusal {
	if l := g.Lease; l != nil {
		return refuse("S0", "%s holds the lease of epoch %d: what it does under it may not have ended", l.Holder, l.Epoch).
			advise("try again in a moment: the lease is released as soon as nothing runs; before a promotion, arbiterctl abort %s ends what runs", g.Name)
	}
	for _, other := range g.Members {
		if other.Promoting && other.Name != m && !slices.Contains(attested, other.Name) {
			return refuse("S7", "%s was told to become the primary, and may still do so at any time", other.Name).
				advise("stop %s, and vouch for it: %s", other.Name, g.vouchingFor(m, append(slices.Clone(attested), other.Name)))
		}
	}
	return nil
}

// checkS0Standby asks that another member is in recovery on the same system, or vouched for and not seen.
func checkS0Standby(s *State, g *Group, m, other MemberName, attested []MemberName) *Refusal {
	if slices.Contains(attested, other) {
		return checkAttestable(s, g, other)
	}
	system := g.systemID(s, m)
	standby := g.countFresh(s, other, func(f Facts) bool { return isStandby(f) && f.SystemID == system })
	if standby >= s.Majority() && system != "" {
		return nil
	}
	seen := g.countFresh(s, other, isStandby)
	if seen >= s.Majority() && system == "" {
		refusal := refuse("S0", "too few arbiters know the system identifier of %s, so that nobody can tell whether %s is a standby of it", m, other)
		if u, ok := g.unaskedOf(s, m); ok {
			return refusal.advise("%s", u.advice(g.Name))
		}
		return refusal.advise("start %s, if it is the primary; see `arbiterctl explain %s` for what each arbiter sees", m, g.Name)
	}
	if seen >= s.Majority() {
		return refuse("S0", "%s has another system identifier than %s: it is not a standby of it", other, m).
			advise("rebuild %s from %s, or take it out of the group", other, m)
	}
	refusal := refuse("S0", "%d of %d arbiters see %s in recovery, %d are needed", seen, len(s.Voters), other, s.Majority())
	if u, ok := g.unaskedOf(s, other); ok && checkAttestable(s, g, other) != nil { // it may well run, and write: nobody can tell
		return refusal.advise("%s", u.advice(g.Name))
	}
	if _, answering := g.anyLook(s, other, answers); answering { // for which nobody can vouch
		return refusal.advise("%s answers, so that nobody can vouch for it: make it a standby of %s that enough arbiters see in recovery, or stop it, and adopt the group then; "+
			"see `arbiterctl explain %s` for what each arbiter sees", other, m, g.Name)
	}
	return refusal.advise("if it is certain that %s does not write, vouch for it: %s", other, g.vouchingFor(m, append(slices.Clone(attested), other)))
}

// checkAttestable asks that a person's word on a member is borne out (DESIGN section 6): nobody sees it answering, and a majority
// has looked at it, as it is now and since it was revoked, and got no answer or found nobody by its name. That nobody has looked yet says nothing.
func checkAttestable(s *State, g *Group, member MemberName) *Refusal {
	if node, ok := g.anyLook(s, member, answers); ok {
		return refuse("S3", "%s sees %s answering: nobody can vouch that it doesn't write", node, member).
			advise("stop %s first", member)
	}
	n, m := 0, g.Member(member)
	for _, node := range s.Voters {
		if g.seesNow(s, node, m, silent) {
			n++
		}
	}
	if n < s.Majority() {
		refusal := refuse("S3", "%d of %d arbiters have looked at %s and got no answer, %d are needed (%s)", n, len(s.Voters), member, s.Majority(), g.sightsOf(s, m))
		if u, ok := g.unaskedOf(s, member); ok && u.why.Reason != ReasonNameNotFound { // which can be vouched for
			return refusal.advise("%s", u.advice(g.Name))
		}
		return refusal.advise("wait for their looks, which takes some seconds after a change of leader or the beginning of an isolation, and ask again; "+
			"see `arbiterctl explain %s` for what each arbiter sees", g.Name)
	}
	return nil
}

// checkS1 asks that at most one member is WRITER, that beside it only a rogue is REVOKED, and that all others are NONE.
// It holds for every state that Next returns for an adopted group; Next checks it at the end of every change.
func checkS1(g *Group) *Refusal {
	writer := g.Writer()
	for _, m := range g.Members {
		switch {
		case m.Authority == AuthorityWriter && m.Name != writer:
			return refuse("S1", "%s and %s would both be WRITER", writer, m.Name)
		case writer != "" && m.Authority == AuthorityRevoked && !m.Rogue:
			return refuse("S1", "%s is REVOKED and not proven to have stopped while %s is WRITER", m.Name, writer)
		case m.Authority == AuthorityUnset && g.Adopted:
			return refuse("S1", "%s has no authority in an adopted group", m.Name)
		}
	}
	return nil
}

// checkS2 decides whether an intent to promote m may be accepted: every other member must be NONE, and m must be NONE, the
// subject of the same promotion, or the former writer that is reinstated under a newer epoch with no fence of it open.
func checkS2(g *Group, m MemberName, reinstate bool) *Refusal {
	for _, other := range g.Members {
		if other.Name != m && other.Authority != AuthorityNone {
			return refuse("S2", "%s is not proven unable to write (%s)", other.Name, authorityText(other.Authority)).
				advise("isolate %s with proof, or attest that it is off", other.Name)
		}
	}
	op, member := g.Operation, g.Member(m)
	switch {
	case member == nil:
		return refuse("S2", "%s is not a member of %s", m, g.Name)
	case member.Authority == AuthorityNone && !reinstate:
		return nil
	case member.Authority == AuthorityWriter && op.Candidate == m:
		return nil
	case reinstate && op.Reinstating && m == op.From && op.Intent == nil && g.Epoch > op.ReinstatedAt:
		return nil
	}
	return refuse("S2", "%s is %s and this is not a promotion in progress of it", m, authorityText(member.Authority))
}

// checkS3 decides whether an outcome ends a member's authority: its proof must be of a grade that the policy accepts, and not the word of devices
// that were seen to be wrong about this member.
func checkS3(g *Group, m *Member, proof Proof) *Refusal {
	if !g.Spec.Policy.Accepts(proof.Grade) {
		return refuse("S3", "proof %s does not end a member's right to write", gradeText(proof.Grade))
	}
	if m.FenceContradicted != "" && proof.Grade.fromDevice() {
		return refuse("S3", "%s proves nothing of %s: %s", proof.Grade, m.Name, m.contradiction())
	}
	return nil
}

// contradiction says why the word of a member's devices proves nothing.
func (m *Member) contradiction() string {
	return fmt.Sprintf("its fence has said that it is off while %s reached it", m.FenceContradicted)
}

// contradictionHint is what to look at then.
const contradictionHint = "Is that the device of another machine? Check its plug or address, and the cable"

// misfenced says that the devices of a member are not to be asked to switch anything off: their word could prove nothing, and who knows whose machine it is.
func (g *Group) misfenced(member MemberName) bool {
	m := g.Member(member)
	return m != nil && m.FenceContradicted != ""
}

// checkS3Fresh refuses a promotion, of a candidate or of the former writer, beside a proof that is void, or from before the operation was held:
// whoever was off then may have been switched on since.
func checkS3Fresh(g *Group, promoted MemberName) *Refusal {
	m := g.Member(g.staleProof(promoted))
	switch {
	case m == nil:
		return nil
	case g.isVoid(m):
		return refuse("S3", "the proof that %s can't write is void: %s", m.Name, m.contradiction()).advise("it is held for a person's word: arbiterctl explain %s says how it is given", g.Name)
	}
	return refuse("S3", "the proof that %s can't write is from before the operation was held", m.Name).advise("it is read back first")
}

// checkS4Epoch refuses whatever does not come from the holder of the present lease, in the term of its grant.
func checkS4Epoch(g *Group, e Entry, epoch Epoch) *Refusal {
	switch {
	case epoch != g.Epoch:
		return refuse("S4", "epoch %d is not the present one, %d", epoch, g.Epoch)
	case g.Lease == nil || g.Lease.Epoch != epoch:
		return refuse("S4", "no lease is held under epoch %d", epoch)
	case e.Proposer != g.Lease.Holder || e.Term != g.Lease.Term:
		return refuse("S4", "%s in term %d does not hold the lease of epoch %d (%s in term %d does)",
			e.Proposer, e.Term, epoch, g.Lease.Holder, g.Lease.Term)
	}
	return nil
}

// checkS4Operation refuses what is about another operation than the present one.
func checkS4Operation(g *Group, id OperationID) *Refusal {
	if g.Operation == nil {
		return refuse("S4", "%s has no operation in progress", g.Name)
	}
	if g.Operation.ID != id {
		if id == "" {
			return refuse("S4", "the request doesn't say which operation it is about: now it is %s", g.standing())
		}
		return refuse("S4", "operation %s is not the present one, %s", id, g.standing())
	}
	return nil
}

// checkS4Seen refuses an operator's request about what began at an entry that the operator had not seen: a release, an acceptance or
// a person's word that was meant for one hold counts for no other one. One that doesn't say what was seen could be about anything.
func checkS4Seen(g *Group, e Entry, began, seen Index) *Refusal {
	var refusal *Refusal
	switch {
	case seen == 0:
		refusal = refuse("S4", "the request doesn't say what was seen: now it is %s", g.standing())
	case seen >= e.Index:
		refusal = refuse("S4", "nobody can have seen index %d: the request itself has index %d", seen, e.Index)
	case began > seen:
		refusal = refuse("S4", "what was seen at index %d has passed: now it is %s", seen, g.standing())
	default:
		return nil
	}
	return refusal.advise("arbiterctl explain %s, and ask again if you still want it", g.Name)
}

// checkS4Vouched refuses an adoption with a person's word on members if the group, or one of these members, is no longer what the person saw.
func checkS4Vouched(g *Group, e Entry, b Adopt) *Refusal {
	if len(b.Attested) == 0 {
		return nil
	}
	return checkS4Seen(g, e, g.sinceOf(b.Attested), b.Seen)
}

// checkS4Unmoved refuses an operator's failover of a group that somebody else has acted on since the operator looked: it would fence another
// primary than the one that was to be replaced, or the same one after a failover of it was tried, or rolled back, already.
func checkS4Unmoved(g *Group, seen Epoch) *Refusal {
	if seen == 0 || seen == g.Epoch {
		return nil
	}
	return refuse("S4", "%s", g.since(seen)).advise("see what was done since, and ask again if you still want it: arbiterctl epoch %s", g.Name)
}

// since says what has become of the primary that was shown under another epoch than the present one.
func (g *Group) since(seen Epoch) string {
	writer := cmp.Or(g.Writer(), "nobody")
	shown, now := g.History.epochRow(seen), g.History.epochRow(g.Epoch)
	switch {
	case shown == nil || now == nil: // no longer kept, or never granted
		return fmt.Sprintf("the request is about epoch %d of %s, and epoch %d is the present one, with %s as the primary", seen, g.Name, g.Epoch, writer)
	case shown.Writer == g.Writer():
		return fmt.Sprintf("%s is the primary of %s as it was under epoch %d, which the request is about, but epoch %d was granted since (%s)",
			writer, g.Name, seen, g.Epoch, now.Why)
	}
	return fmt.Sprintf("%s was the primary of %s under epoch %d, which the request is about, and %s is now, under epoch %d",
		cmp.Or(shown.Writer, "nobody"), g.Name, seen, writer, g.Epoch)
}

// standing says where the operation in progress stands, or the group without one.
func (g *Group) standing() string {
	switch {
	case g.Operation == nil:
		return fmt.Sprintf("%s with no operation in progress, under epoch %d", g.Name, g.Epoch)
	case g.Stage == Held:
		return fmt.Sprintf("%s, held for %s since index %d (%s)", g.Operation.ID, g.Hold.Reason, g.Hold.First, g.HeldFor())
	}
	return fmt.Sprintf("%s, which is %s since index %d", g.Operation.ID, g.Stage, g.Turn())
}

// checkS4Intent refuses an outcome whose intent is not open: it counts once.
func checkS4Intent(g *Group, epoch Epoch, intent Index) *Refusal {
	open := g.Operation.Intent
	if open == nil || open.Index != intent || open.Epoch != epoch {
		return refuse("S4", "the intent at index %d under epoch %d is not open", intent, epoch)
	}
	return nil
}

// checkS8 decides whether a lease may be granted: to the leader of the present reign, who names the epoch that was waited
// out, with the length that the policy sets.
func checkS8(s *State, g *Group, e Entry, a AcquireLease) *Refusal {
	switch {
	case s.Reign.Leader != a.Holder || s.Reign.Term != a.Term || e.Term != a.Term || e.Proposer != a.Holder:
		return refuse("S8", "%s in term %d does not lead: the present reign is %s's in term %d",
			a.Holder, a.Term, s.Reign.Leader, s.Reign.Term)
	case a.AfterEpoch != g.Epoch:
		return refuse("S8", "the lease of epoch %d was waited out, but epoch %d is current", a.AfterEpoch, g.Epoch)
	case a.Duration != g.LeaseDuration():
		return refuse("S8", "a lease of %s was asked for, the policy says %s", a.Duration, g.LeaseDuration())
	}
	return nil
}

// checkS8Release decides whether a lease ends early: its holder gives it back, or the leader of the present reign has waited it out.
func checkS8Release(s *State, g *Group, e Entry, epoch Epoch) *Refusal {
	switch {
	case g.Lease == nil || g.Lease.Epoch != epoch:
		return refuse("S4", "no lease is held under epoch %d", epoch)
	case e.Proposer != s.Reign.Leader || e.Term != s.Reign.Term:
		return refuse("S8", "%s in term %d does not lead: the present reign is %s's in term %d", e.Proposer, e.Term, s.Reign.Leader, s.Reign.Term)
	}
	return nil
}

// checkS14 decides whether the first isolate of an automatic operation counts at its own log index: the verdict and the
// clock-free part of the policy must hold there, and the group must not be paused.
func checkS14(s *State, g *Group) *Refusal {
	op := g.Operation
	if !op.Automatic || pastIsolateIntent(g.EffectiveStage()) {
		return nil
	}
	for _, guard := range clockFreeGuards(s, g) {
		if !guard.OK {
			return refuse("S14", "%s", guard.said())
		}
	}
	return nil
}

// checkS14Release refuses an operator's word to go on with what would not go on by it: an automatic operation that has done nothing yet begins only in a
// group that is adopted, not paused, and acted on by itself.
func checkS14Release(s *State, g *Group) *Refusal {
	if guard, goesOn := goesOnReleased(g); !goesOn {
		return refuse("S14", "the %s of %s would not go on: %s", g.Operation.Kind, g.Name, guard.Detail).advise("%s", inOneLine(insteadOfRelease(s, g)))
	}
	return nil
}

// rogues implements S12: members with authority NONE that a current look, begun after they became NONE, sees accepting writes.
func rogues(s *State, g *Group) []MemberName {
	var found []MemberName
	for _, m := range g.Members {
		if m.Authority != AuthorityNone {
			continue
		}
		if _, ok := g.anyLook(s, m.Name, func(o Observation) bool { return o.Facts.AcceptsWrites && o.AsOf >= m.NotBefore(o) }); ok {
			found = append(found, m.Name)
		}
	}
	return found
}

func joinMembers(members []MemberName) string {
	names := make([]string, len(members))
	for i, m := range members {
		names[i] = string(m)
	}
	return strings.Join(names, " and ")
}

func authorityText(a Authority) string {
	if a == AuthorityUnset {
		return "not adopted"
	}
	return string(a)
}

func gradeText(g ProofGrade) string {
	if g == "" {
		return string(ProofUnknown)
	}
	return string(g)
}
