package mutants

// Mutant is one planted bug: where the words Old stand, exactly once, New stands instead.
type Mutant struct {
	Name string
	Rule string // of DESIGN section 2, that it breaks
	What string // in words
	File string // from the root of the project
	Old  string
	New  string
}

// All are the mutants, by the part of the core that they weaken; then those of an arbiter's own view, and of the shell.
func All() []Mutant {
	var all []Mutant
	for _, part := range [][]Mutant{adoption, authority, staleness, views, leases, leadership, reroutes, ownView, shell} {
		all = append(all, part...)
	}
	return all
}

const (
	authorityFile = "failover/authority.go"
	actionFile    = "failover/next_action.go"
	groupFile     = "failover/next_group.go"
	operationFile = "failover/next_operation.go"
	viewsFile     = "failover/next_views.go"
	looksFile     = "failover/looks.go"
	leaseFile     = "failover/controller_lease.go"
	tryFile       = "failover/controller_action.go"
	rerouteFile   = "failover/reroute.go"
	recoveryFile  = "failover/in_recovery.go"
	batchFile     = "internal/ownview/batch.go"
	viewFile      = "internal/ownview/view.go"
)

var adoption = []Mutant{
	{
		Name: "adopt-beside-an-unseen-member", Rule: "S0", What: "an adoption does not ask who sees the other members in recovery",
		File: authorityFile, Old: "if standby >= s.Majority() && system != \"\" {", New: "if standby >= 0 {",
	},
	{
		Name: "adopt-two-writers", Rule: "S0", What: "an adoption does not ask whether another member accepts writes",
		File: authorityFile, Old: "writable := g.seenWritable(s); len(writable) > 1", New: "writable := g.seenWritable(s); len(writable) > 9",
	},
	{
		Name: "one-server-in-two-groups", Rule: "S0", What: "a group is made of the servers of another one",
		File: authorityFile, Old: "name, shared := ours[serverAt(m.Address)]; shared {", New: "name, shared := ours[serverAt(m.Address)]; shared && name == \"\" {",
	},
	{
		Name: "adopt-on-one-look", Rule: "S0", What: "one arbiter that sees the writer is enough for an adoption",
		File: authorityFile, Old: "if writers >= s.Majority() {\n\t\treturn false, nil", New: "if writers >= 1 {\n\t\treturn false, nil",
	},
	{
		Name: "adopt-beside-a-promotion", Rule: "S7", What: "an adoption does not ask whether another member was told to become the primary",
		File: authorityFile, Old: "if other.Promoting && other.Name != m && !slices.Contains(attested, other.Name) {", New: "if false {",
	},
	{
		Name: "adopt-under-the-same-epoch", Rule: "S5", What: "an adoption takes no new epoch",
		File: groupFile, Old: "g.Epoch = max(g.Epoch, g.highestToken()) + 1", New: "g.Epoch = max(g.Epoch, g.highestToken(), 1)",
	},
	{
		Name: "changed-member-stays-adopted", Rule: "S0", What: "a member with another address leaves its group adopted",
		File: groupFile, Old: "\tif len(changed) > 0 {\n\t\tg.Adopted = false", New: "\tif len(changed) > 9 {\n\t\tg.Adopted = false",
	},
	{
		Name: "change-members-in-an-operation", Rule: "S0", What: "members may be changed while an operation runs",
		File: groupFile, Old: "\t\tif g.Operation != nil {\n\t\t\treturn refuse(\"S0\", \"members can't be changed", New: "\t\tif false {\n\t\t\treturn refuse(\"S0\", \"members can't be changed",
	},
	{
		Name: "remove-a-member-that-may-write", Rule: "S0", What: "a member that is not proven to have stopped may be removed",
		File: groupFile, Old: "!stays && m.Authority != AuthorityNone && g.EverAdopted", New: "!stays && m.Authority == \"never\"",
	},
	{
		Name: "forget-the-epoch-of-a-deleted-group", Rule: "S5", What: "a group that is created again begins with epoch 0",
		File: groupFile, Old: "Stage: Steady, Epoch: was.Epoch, Lease: was.Lease,", New: "Stage: Steady, Lease: was.Lease,",
	},
	{
		Name: "stranger-stays-adopted", Rule: "S0", What: "a member that became another database leaves its group adopted",
		File: "failover/identity.go", Old: "if !g.Adopted || g.Operation != nil {", New: "if g.Adopted || g.Operation != nil {",
	},
}

var authority = []Mutant{
	{
		Name: "adopt-by-looks-from-before-a-promotion", Rule: "S0", What: "an adoption counts what was seen of the writer before its promotion ended",
		File: looksFile, Old: "if ok && !old && !look", New: "_ = old\n\t\tif ok && !look",
	},
	{
		Name: "leave-a-rogue-beside-a-failover-that-waits", Rule: "S12", What: "a rogue is not isolated while a failover waits to begin",
		File: "failover/settle.go", Old: "if !g.Adopted || g.Operation != nil && !g.nothingDone() {", New: "if !g.Adopted || g.Operation != nil {",
	},
	{
		Name: "promote-before-the-fence", Rule: "S2", What: "a promotion does not ask whether the others can still write",
		File: authorityFile, Old: "if other.Name != m && other.Authority != AuthorityNone {\n\t\t\treturn refuse(\"S2\"", New: "if false {\n\t\t\treturn refuse(\"S2\"",
	},
	{
		Name: "reinstate-under-the-same-epoch", Rule: "S2", What: "the former writer is given back under an epoch that may still be acted under",
		File: authorityFile, Old: "&& op.Intent == nil && g.Epoch > op.ReinstatedAt:", New: "&& op.Intent == nil:",
	},
	{
		Name: "reinstate-beside-an-open-fence", Rule: "S2", What: "the former writer is given back while its fence is open",
		File: actionFile, Old: "if op.Intent != nil && (b.Action != ActionIsolate || op.Intent.Action == ActionIsolate) {", New: "if op.Intent != nil && !b.Reinstate && (b.Action != ActionIsolate || op.Intent.Action == ActionIsolate) {",
	},
	{
		Name: "isolate-without-revoking", Rule: "S3", What: "the member keeps its authority when its isolation is intended",
		File: actionFile, Old: "m.Authority, m.Proof = AuthorityRevoked, Proof{}", New: "m.Proof = Proof{}",
	},
	{
		Name: "accept-unknown", Rule: "S3", What: "a fence of which nobody knows how it ended counts as proof",
		File: authorityFile, Old: "if !g.Spec.Policy.Accepts(proof.Grade) {", New: "if !g.Spec.Policy.Accepts(proof.Grade) && proof.Grade != ProofUnknown {",
	},
	{
		Name: "accept-a-failed-fence", Rule: "S3", What: "an isolation that did not succeed counts if it names a proof",
		File: actionFile, Old: "\tif o.Result != ResultDone {\n\t\treturn c.failedTry(g, o)\n\t}\n\treturn c.provenNone",
		New: "\tif o.Result != ResultDone && o.Proof.Grade == \"\" {\n\t\treturn c.failedTry(g, o)\n\t}\n\treturn c.provenNone",
	},
	{
		Name: "believe-a-device-that-was-wrong", Rule: "S3", What: "devices that called a member off while it was reached are asked later, and prove that it is off",
		File: viewsFile, Old: "\tm.FenceContradicted = node\n", New: "",
	},
	{
		Name: "believe-a-device-that-says-on", Rule: "S3", What: "devices that were wrong are right again when they say that the member is on",
		File: viewsFile, Old: "\tm := g.Member(p.Member)\n\tif !p.Contradicted ||", New: "\tm := g.Member(p.Member)\n\tif p.Armed && !p.Off {\n\t\tm.FenceContradicted = \"\"\n\t}\n\tif !p.Contradicted ||",
	},
	{
		Name: "promote-on-the-word-of-a-device-that-was-wrong", Rule: "S3", What: "a proof by devices stands though they were seen to be wrong since",
		File: "failover/operation.go", Old: "return m.FenceContradicted != \"\" && m.Authority == AuthorityNone", New: "return g.Name == \"\" && m.Authority == AuthorityNone",
	},
	{
		Name: "promote-beside-a-proof-from-before-a-hold", Rule: "S3", What: "a fence that was proven before the operation was held is not read back",
		File: "failover/operation.go", Old: "m.NoneSince < g.Operation.ProofsBefore", New: "m.NoneSince < 0",
	},
	{
		Name: "ignore-the-loss-bound", Rule: "policy", What: "whoever is found is promoted, whatever the policy says of acknowledged writes",
		File: "failover/candidate.go", Old: "return loss.Bytes <= allowed\n", New: "return true\n",
	},
	{
		Name: "lose-more-than-was-accepted", Rule: "policy", What: "an operator who accepted a loss accepted any",
		File: "failover/candidate.go", Old: "return taken.Unknown || c.Loss.Grade != LossUnknown && c.Loss.Bytes <= taken.Bytes", New: "return true",
	},
	{
		Name: "take-an-unknown-loss-for-none", Rule: "policy", What: "a loss that nobody knows is within whatever bound the policy has",
		File: "failover/candidate.go", Old: "\tcase loss.Grade == LossUnknown:\n\t\treturn false\n\tcase allowed == 0:", New: "\tcase allowed == 0:",
	},
	{
		Name: "take-an-amount-for-any", Rule: "policy", What: "an operator who accepted an amount accepted a loss that nobody knows",
		File: "failover/candidate.go", Old: "taken.Unknown || c.Loss.Grade != LossUnknown && c.Loss.Bytes", New: "taken.Unknown || c.Loss.Bytes",
	},
	{
		Name: "vouch-in-another-operation", Rule: "S4", What: "a person's word that was given in another operation counts",
		File: operationFile, Old: "\tif refusal := checkS4Operation(g, b.Operation); refusal != nil {\n\t\treturn refusal\n\t}\n\tm := g.Member(b.Member)\n",
		New: "\tif g.Operation == nil {\n\t\treturn checkS4Operation(g, b.Operation)\n\t}\n\tm := g.Member(b.Member)\n",
	},
	{
		Name: "vouch-by-an-old-screen", Rule: "S4", What: "a person's word on a member counts though it was told to stop, once more, since",
		File: operationFile, Old: "checkS4Seen(g, c.entry, m.RevokedSince, b.Seen)", New: "checkS4Seen(g, c.entry, 0, b.Seen)",
	},
	{
		Name: "vouch-by-looks-from-before-the-isolation", Rule: "S3", What: "what was seen of a member before it was told to stop bears a person's word out",
		File: looksFile, Old: "return look, ok && look.Observation.AsOf >= m.NotBefore(look.Observation)", New: "return look, ok",
	},
	{
		Name: "vouch-against-the-newest-look", Rule: "S3", What: "one arbiter that sees a member answer since does not contradict a person's word, if the others do not see it",
		File: authorityFile, Old: "if node, ok := g.anyLook(s, member, answers); ok {", New: "if node, ok := g.anyLook(s, member, answers); ok && g.countLooks(s, member, func(Facts) bool { return true }) >= s.Majority() {",
	},
	{
		Name: "vouch-for-one-that-answers", Rule: "S3", What: "a person may vouch for a member that an arbiter sees answering",
		File: authorityFile, Old: "if node, ok := g.anyLook(s, member, answers); ok {", New: "if node, ok := g.anyLook(s, member, answers); ok && node == \"\" {",
	},
	{
		Name: "vouch-unseen", Rule: "S3", What: "a person may vouch for a member that nobody has looked at since",
		File: authorityFile, Old: "\tif n < s.Majority() {\n\t\trefusal := refuse(\"S3\"", New: "\tif n < 0 {\n\t\trefusal := refuse(\"S3\"",
	},
	{
		Name: "give-up-a-promotion-without-a-fence", Rule: "S7", What: "a promotion that failed takes the right to write from its candidate, without proof",
		File: actionFile, Old: "\tc.tell(g, AttemptEnded, op", New: "\tif op.Intent.Action == ActionPromote {\n\t\tg.Member(op.Intent.Member).Authority = AuthorityNone\n\t}\n\tc.tell(g, AttemptEnded, op",
	},
	{
		Name: "leave-a-rogue-none", Rule: "S12", What: "a member without authority that accepts writes stays proven unable to",
		File: authorityFile, Old: "if m.Authority != AuthorityNone {\n\t\t\tcontinue", New: "if m.Authority != AuthorityRevoked {\n\t\t\tcontinue",
	},
	{
		Name: "unmask-by-old-looks", Rule: "S12", What: "a look from before the proof makes a member a rogue",
		File: authorityFile, Old: "o.Facts.AcceptsWrites && o.AsOf >= m.NotBefore(o) }", New: "o.Facts.AcceptsWrites }",
	},
	{
		Name: "isolate-on-a-verdict-that-has-gone", Rule: "S14", What: "the first isolation is not asked whether it is still right",
		File: authorityFile, Old: "if !op.Automatic || pastIsolateIntent(g.EffectiveStage()) {", New: "if op != nil || pastIsolateIntent(g.EffectiveStage()) {",
	},
	{
		Name: "call-a-primary-in-recovery-well", Rule: "recovery", What: "a primary that is in recovery, so that nobody can write, counts as up",
		File: recoveryFile, Old: "isStandby(o.Facts) && !o.Facts.Stale && o.AsOf >= m.NotBefore(o)", New: "isStandby(o.Facts) && !o.Facts.Stale && g.Name == \"\"",
	},
	{
		Name: "recover-by-a-primary-in-recovery", Rule: "recovery", What: "a failover of a primary that is in recovery ends as one whose primary has recovered",
		File: "failover/settle.go", Old: "if v.Up == 0 || len(v.InRecovery) >= c.state.Majority() {", New: "if v.Up > v.Voters {",
	},
	{
		Name: "wait-beside-a-primary-in-recovery", Rule: "recovery", What: "a failover that has done nothing stays open beside a primary in recovery",
		File: "failover/settle.go", Old: "return g.Operation.Aborted && len(v.InRecovery) >= c.state.Majority() && !stranger &&", New: "return len(v.InRecovery) >= c.state.Majority() && !stranger &&",
	},
	{
		Name: "say-nothing-of-a-primary-in-recovery", Rule: "recovery", What: "an operator is not told of a primary in recovery, in which nothing is done by itself",
		File: recoveryFile, Old: "writer != \"\" && len(Tally(s, g, writer).InRecovery) >= s.Majority() {", New: "writer != \"\" && len(Tally(s, g, writer).InRecovery) > len(s.Voters) {",
	},
	{
		Name: "drop-the-second-look", Rule: "S14", What: "arbiters that count towards an isolation need not have looked again",
		File: "failover/guards.go", Old: "again := TallySince(s, g, op.From, op.ConfirmedAt)", New: "again := Tally(s, g, op.From)",
	},
}

var staleness = []Mutant{
	{
		Name: "take-another-change-for-a-repetition", Rule: "S4", What: "whatever is asked for under an id that was used counts as done",
		File: "failover/repeated.go", Old: "if !done.RepeatedBy(c.entry.Body) {", New: "if false {",
	},
	{
		Name: "tell-changes-apart-by-kind-and-group", Rule: "S4", What: "another change of the same kind under an id that was used counts as done",
		File: "failover/repeated.go", Old: "&& r.Content == asked.content\n", New: "\n",
	},
	{
		Name: "count-an-outcome-twice", Rule: "S4", What: "an outcome leaves its intent open",
		File: actionFile, Old: "\top.Intent, op.Attempts = nil, 0\n\tswitch intent.Action {", New: "\top.Attempts = 0\n\tswitch intent.Action {",
	},
	{
		Name: "count-an-outcome-of-another-intent", Rule: "S4", What: "an outcome counts for whatever intent is open",
		File: authorityFile, Old: "if open == nil || open.Index != intent || open.Epoch != epoch {", New: "if open == nil {",
	},
	{
		Name: "act-under-anybodys-lease", Rule: "S4", What: "intents and outcomes of one that does not hold the lease count",
		File: authorityFile, Old: "case e.Proposer != g.Lease.Holder || e.Term != g.Lease.Term:", New: "case false:",
	},
	{
		Name: "act-under-an-old-epoch", Rule: "S4", What: "intents and outcomes under an older epoch count",
		File: authorityFile, Old: "\tcase epoch != g.Epoch:\n", New: "\tcase epoch < g.Epoch && g.Lease != nil && e.Proposer == g.Lease.Holder && e.Term == g.Lease.Term:\n\t\treturn nil\n\tcase epoch != g.Epoch:\n",
	},
	{
		Name: "act-on-another-operation", Rule: "S4", What: "what is about another operation counts for the present one",
		File: authorityFile, Old: "if g.Operation.ID != id {", New: "if false {",
	},
	{
		Name: "believe-an-old-screen", Rule: "S4", What: "an operator's word on what has passed counts for what is now",
		File: authorityFile, Old: "case began > seen:", New: "case false:",
	},
	{
		Name: "believe-whoever-says-nothing", Rule: "S4", What: "an operator's word that doesn't say what was seen counts for whatever is now",
		File: authorityFile, Old: "case seen == 0:", New: "case seen == 0:\n\t\treturn nil\n\tcase false:",
	},
	{
		Name: "fail-over-another-primary", Rule: "S4", What: "a failover that was confirmed of one primary is done to the next",
		File: authorityFile, Old: "if seen == 0 || seen == g.Epoch {", New: "if true {",
	},
	{
		Name: "keep-intents-open-across-grants", Rule: "S4", What: "a new grant leaves open what the leader before intended",
		File: operationFile, Old: "op.Intent, op.Arbiter = nil, b.Holder", New: "op.Arbiter = b.Holder",
	},
}

var views = []Mutant{
	{
		Name: "ignore-the-fleet-brake", Rule: "policy", What: "primaries are replaced by automation though most of all groups turned down at once",
		File: "failover/brake.go", Old: "braked := down >= s.Brake.Count &&", New: "braked := down >= 99*s.Brake.Count &&",
	},
	{
		Name: "fail-over-what-nobody-remembers", Rule: "S14", What: "after a start of everything a primary that is only late is failed over",
		File: "failover/guards.go", Old: "if health.ColdStartGrace > 0 {", New: "if health.ColdStartGrace < 0 {",
	},
	{
		Name: "count-answers-from-before-the-spec", Rule: "S14", What: "arbiters that looked again before a new spec came need not do so by that one",
		File: looksFile, Old: "return max(asked, g.SpecSince) }", New: "return asked }",
	},
	{
		Name: "take-an-old-batch", Rule: "S4", What: "a whole view that was sent before is taken again",
		File: viewsFile, Old: "case b.Whole && newer:", New: "case b.Whole || !newer:",
	},
	{
		Name: "overlook-a-gap", Rule: "S4", What: "a batch is taken though the one before it is missing",
		File: viewsFile, Old: "case b.Incarnation != v.Incarnation || b.Sequence != v.Sequence+1:", New: "case b.Incarnation != v.Incarnation:",
	},
	{
		Name: "keep-views-across-reigns", Rule: "S8", What: "what was seen under the leader before counts under the next one",
		File: viewsFile, Old: "\t\tc.state.Views[i].Generation++\n\t\tc.state.Views[i].Current = false\n", New: "\t\t_ = i\n",
	},
	{
		Name: "count-voided-looks", Rule: "S8", What: "looks of a view that was voided count again when it is sent",
		File: looksFile, Old: "return look, ok && look.Generation == view.Generation", New: "_ = view\n\treturn look, ok",
	},
	{
		Name: "count-looks-that-were-told-nothing", Rule: "S0", What: "what a member said before its newest look counts as what it is now",
		File: looksFile, Old: "if ok && !old && !look.Observation.Facts.Stale && match(", New: "if ok && !old && match(",
	},
	{
		Name: "count-less-than-a-quorum", Rule: "S11", What: "less than half of the arbiters are enough to find a member down, up or in recovery",
		File: "failover/state.go", Old: "return len(s.Voters)/2 + 1 }", New: "return max(len(s.Voters)/2, 1) }",
	},
	{
		Name: "count-doubted-views", Rule: "S14", What: "an arbiter that doubts its own view counts",
		File: "failover/state.go", Old: "return view, ok && view.Current && view.Doubt == \"\"", New: "return view, ok && view.Current",
	},
}

var leases = []Mutant{
	{
		Name: "acquire-without-the-epoch-waited-out", Rule: "S8", What: "a grant does not ask which lease was waited out",
		File: authorityFile, Old: "case a.AfterEpoch != g.Epoch:", New: "case a.AfterEpoch > g.Epoch:",
	},
	{
		Name: "grant-to-anybody", Rule: "S8", What: "a lease is granted to one that does not reign",
		File: authorityFile, Old: "case s.Reign.Leader != a.Holder || s.Reign.Term != a.Term || e.Term != a.Term || e.Proposer != a.Holder:", New: "case false:",
	},
	{
		Name: "release-by-anybody", Rule: "S8", What: "a lease is ended by one that does not reign",
		File: authorityFile, Old: "case e.Proposer != s.Reign.Leader || e.Term != s.Reign.Term:", New: "case false:",
	},
	{
		Name: "grant-the-same-epoch-again", Rule: "S5", What: "the arbiter that held the last lease is granted the same epoch",
		File: operationFile, Old: "\tg.Epoch++ // S5", New: "\tif g.Operation.Arbiter != b.Holder {\n\t\tg.Epoch++\n\t} // S5",
	},
	{
		Name: "skip-the-wait", Rule: "S8", What: "a new leader does not wait until the lease before must have run out",
		File: leaseFile, Old: "return max(from+length+c.margin(length)-now, 0)", New: "_ = length\n\treturn max(from-now, 0)",
	},
	{
		Name: "count-the-lease-from-the-reply", Rule: "S8", What: "the holder counts its lease from when its entry was applied",
		File: "failover/controller_group.go", Old: "until: gc.own.proposed + length - c.margin(length)", New: "until: now + length - c.margin(length)",
	},
	{
		Name: "wait-from-the-grant", Rule: "S8", What: "a new leader counts the lease before from its grant, not from when it applied the newest renewal",
		File: "failover/controller_group.go", Old: "if g.Lease != nil && g.Lease.RenewedAt != gc.leaseIndex {", New: "if g.Lease != nil && (gc.leaseIndex == 0 || g.Lease.GrantedAt > gc.leaseIndex || g.Lease.Holder == c.self && g.Lease.RenewedAt != gc.leaseIndex) {",
	},
}

var leadership = []Mutant{
	{
		Name: "act-before-the-reign-is-applied", Rule: "S8", What: "a leader acts before its own BeginReign is applied",
		File: "failover/controller.go", Old: "c.reigning = c.term != 0 && state.Reign.Term == c.term && state.Reign.Leader == c.self", New: "c.reigning = c.term != 0",
	},
	{
		Name: "act-unconfirmed", Rule: "S6", What: "an action starts on leadership that was not confirmed since its intent was applied",
		File: tryFile, Old: "\tif !s.confirmed(gc, intent.Index) {\n\t\ts.confirmFor(gc, intent.Index)\n\t\treturn\n\t}\n", New: "",
	},
	{
		Name: "conclude-unconfirmed", Rule: "S6", What: "what came of an action is told on leadership that was not confirmed since it ended",
		File: tryFile, Old: "\tcase s.confirmed(gc, gc.ended.Intent):\n", New: "\tcase true:\n",
	},
	{
		Name: "start-after-the-lease", Rule: "S6", What: "the lease is not read again when leadership was confirmed",
		File: tryFile, Old: "if gc.own.until <= s.now || gc.own.epoch != g.Epoch || intent.Epoch != g.Epoch {", New: "if false {",
	},
	{
		Name: "let-actions-outlive-the-lease", Rule: "S6", What: "what runs is not ended when the lease runs out",
		File: tryFile, Old: "\tcase gc.own.until <= s.now:\n\t\ts.cancel(gc, \"the lease has run out\")\n", New: "",
	},
	{
		Name: "let-actions-outlive-the-reign", Rule: "S6", What: "what runs is not ended when leadership is lost",
		File: "failover/controller.go", Old: "\t\ts.cancel(gc, \"leadership was lost\")\n", New: "",
	},
	{
		Name: "release-while-it-runs", Rule: "S8", What: "leadership is handed over, and the lease released, while an action runs",
		File: "failover/controller_group.go", Old: "\t\ts.cancel(gc, s.draining.Why)\n\t\treturn !s.stuck(gc)\n", New: "\t\ts.cancel(gc, s.draining.Why)\n",
	},
	{
		Name: "forget-the-epoch-at-the-target", Rule: "S9", What: "actions carry no epoch, so that the target refuses none",
		File: tryFile, Old: "Member: intent.Member, Epoch: intent.Epoch, Intent: intent.Index,", New: "Member: intent.Member, Epoch: 1 << 40, Intent: intent.Index,",
	},
	{
		Name: "fence-one-machine-twice-at-once", Rule: "S15", What: "two groups act on the power of one machine at the same time",
		File: tryFile, Old: "running.action.Kind == ActionIsolate && a.sharesMachine(running.action)", New: "running.action.Kind == ActionIsolate && false",
	},
	{
		Name: "fence-a-machine-that-another-leader-may-fence", Rule: "S15", What: "a new leader does not wait until who led before can no longer fence the same machine for another group",
		File: leaseFile, Old: "\tlongest := time.Duration(0)\n\tfor _, other := range c.state.Groups {", New: "\tlongest := time.Duration(0)\n\tfor _, other := range c.state.Groups[:0] {",
	},
}

var reroutes = []Mutant{
	{
		Name: "reroute-past-its-reason", Rule: "S14", What: "a reroute goes on when the group is paused, its writer is down, or another one writes",
		File: rerouteFile, Old: "if why := whyNoReroute(&c.state, g); why != \"\" {", New: "if why := whyNoReroute(&c.state, g); why == \"never\" {",
	},
	{
		Name: "reroute-by-an-old-look", Rule: "S4", What: "a look at the routes from before the newest epoch begins a reroute",
		File: rerouteFile, Old: "case b.Epoch != g.Epoch:", New: "case b.Epoch > g.Epoch:",
	},
	{
		Name: "reroute-by-an-old-spec", Rule: "S4", What: "a look at the routes by a spec from before the present one begins a reroute",
		File: rerouteFile, Old: "case b.SpecSince != g.SpecSince:", New: "case b.SpecSince > g.SpecSince:",
	},
	{
		Name: "reroute-without-a-reason", Rule: "S14", What: "a reroute begins whatever speaks against it, and ends in the same entry",
		File: rerouteFile, Old: "case whyNoReroute(&c.state, g) != \"\":", New: "case whyNoReroute(&c.state, g) == \"never\":",
	},
	{
		Name: "reroute-beside-an-unseen-writer", Rule: "S14", What: "a reroute does not ask whether a majority sees the writer accept writes",
		File: rerouteFile, Old: "g.countFresh(s, writer, acceptsWrites) < s.Majority():", New: "g.countFresh(s, writer, acceptsWrites) < 0:",
	},
	{
		Name: "reroute-counts-what-was-stopped", Rule: "routes", What: "a reroute that a new leader or a pause ended counts as one after which the router forgot again",
		File: rerouteFile, Old: "case op.Kind == KindReroute && (result == OperationDone || result == OperationFailed):", New: "case op.Kind == KindReroute:",
	},
	{
		Name: "reroute-promotes", Rule: "S2", What: "a reroute promotes its primary, if that was taken into recovery meanwhile",
		File: tryFile, Old: "a.EpochOnly = op.Kind == KindReroute && intent.Action == ActionPromote", New: "a.EpochOnly = false",
	},
}

var ownView = []Mutant{
	{
		Name: "view-answer-with-looks-from-before", Rule: "S14", What: "a request to look again is answered by what was seen before it",
		File: batchFile, Old: "return r.Ended > a.at && r.SpecSince", New: "return r.Ended > 0 && r.SpecSince",
	},
	{
		Name: "view-send-nothing-twice", Rule: "S12", What: "what was sent before it could count is not sent again",
		File: batchFile, Old: "return now.AsOf >= least && sent.AsOf < least", New: "_ = least\n\treturn false",
	},
	{
		Name: "view-overlook-a-wrong-device", Rule: "S3", What: "an arbiter that reaches a member which its devices have called off does not tell",
		File: viewFile, Old: "\tpath.Contradicted = true\n", New: "",
	},
}

var shell = []Mutant{
	{
		Name: "shell-trust-verify-leader", Rule: "S6", What: "Raft's own answer counts as confirmation of leadership",
		File: "arbiter/confirm.go", Old: "\tasked := c.stamps.mark()\n", New: "\tasked := c.stamps.mark()\n\tif c.raft.VerifyLeader().Error() == nil {\n\t\treturn Confirmation{Term: term, At: asked.sent}, nil\n\t}\n",
	},
	{
		Name: "shell-count-answers-by-their-arrival", Rule: "S6", What: "an answer that comes after the question confirms leadership, whenever what it answers was sent",
		File: "arbiter/transport.go", Old: "\t\tt.keep(id, sent)\n", New: "\t\tsent.order = t.mark().order\n\t\tt.keep(id, sent)\n",
	},
	{
		Name: "shell-answer-unconfirmed", Rule: "S8", What: "an arbiter answers as the leader without a confirmation",
		File: "arbiter/service.go", Old: "if err := s.node.Confirm(confirm); err != nil { // in", New: "if err := s.leads(); err != nil { // in",
	},
	{
		Name: "shell-act-without-asking-the-lease", Rule: "S6", What: "the lease is not read right before an effect",
		File: "arbiter/runner.go", Old: "r.clock.Boot() >= until {", New: "r.clock.Boot() < 0 && until == 0 {",
	},
	{
		Name: "shell-report-an-action-before-it-has-ended", Rule: "S15", What: "an action that is cancelled counts as ended while its driver goes on",
		File: "arbiter/runner.go", Old: "\t\toutcome := r.execute(ctx, s.Action)\n",
		New: "\t\tended := make(chan failover.Outcome, 1)\n\t\tgo func() { ended <- r.execute(ctx, s.Action) }()\n\t\tvar outcome failover.Outcome\n\t\tselect {\n" +
			"\t\tcase outcome = <-ended:\n\t\tcase <-ctx.Done():\n\t\t\toutcome = failover.Outcome{Result: failover.ResultUnknown}\n\t\t}\n",
	},
	{
		Name: "shell-act-on-replayed-intents", Rule: "S13", What: "an arbiter that was restarted begins what its replayed log says that it had intended",
		File: "arbiter/leader.go", Old: "\t\tl.give(failover.Applied{State: state})\n",
		New: "\t\tl.give(failover.Applied{State: state})\n\t\tfor _, g := range state.Groups {\n" +
			"\t\t\tif l.controller.Leading() || g.Lease == nil || g.Lease.Holder != l.node || g.Operation == nil || g.Operation.Intent == nil {\n\t\t\t\tcontinue\n\t\t\t}\n" +
			"\t\t\top, now := g.Operation, l.clock.Boot()\n\t\t\tl.runner.start(failover.Start{\n" +
			"\t\t\t\tAction: failover.Action{Group: g.Name, Operation: op.ID, Kind: op.Intent.Action, Member: op.Intent.Member, Epoch: op.Intent.Epoch, Intent: op.Intent.Index, Attempt: 1, SystemID: g.SystemID, Spec: g.Spec},\n" +
			"\t\t\t\tDeadline: now + 5*time.Second, LeaseUntil: now + time.Duration(g.Lease.Duration),\n\t\t\t})\n\t\t}\n",
	},
	{
		Name: "shell-vote-with-an-empty-disk", Rule: "S8", What: "an arbiter whose disk is empty joins a cluster in which it may have voted",
		File: "arbiter/bootstrap.go", Old: "\tif self.State == BootstrapEmpty {\n",
		New: "\tif self.State == BootstrapEmpty {\n\t\treturn bootstrapDecision{action: bootstrapJoin, clusterID: members[0].ClusterID}\n\t}\n\tif self.State == \"\" {\n",
	},
}
