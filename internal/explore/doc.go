// Package explore visits every state that a small group can come to, through failover.Next itself, and asks in each of them, and
// across each entry that leads from one to the next, whether the safety rules of DESIGN section 2 hold.
//
// # The world
//
// One group of three members, watched by three arbiters. Roots are the group as it was just created, and as it was adopted. In every
// state every entry is tried that could be committed there (moves.go): what the present leader may propose, whether its planner
// says so or not; every outcome of what was begun; what arbiters see; what operators ask for; and of each of these that was accepted, what
// a deposed leader, a second delivery or an operator who looks at an old screen would make of it.
//
// # The bound
//
// What the leader's planner wants, whatever comes of an action, and looks that are sent again cost nothing: all of it is followed to its
// end. Every other entry is odd: a look that changes, or shows that devices are wrong, a view that is lost or doubted, a change of leader, an operator's request, and whatever a leader
// might propose that its planner did not say (any intent on any member, any hold, any grant). Bounds.Odd says how many odd entries one
// history may hold. The exploration ends when every history within that bound has been followed. Before that one odd entry is tried in some states in
// which something is wrong already (vantage.go): most of what takes two is found in a second there.
//
// # What is folded
//
// Two states are the same one (key.go) if every later entry would do the same to both: which arbiter is called what, and which member,
// makes no difference; nor do the numbers of entries, epochs, terms and batches, of which only the order is ever asked for. So epochs
// and terms have no bound here. A test follows pairs of folded states on and compares.
//
// # What is asked
//
// rules.go says the rules once more, in the simplest words and without a look at failover/authority.go: S0 to S5, S7, S8, S12 and S14.
// devices.go asks that devices which were seen to be wrong about a member are disbelieved from then on, and what they had proved before is void.
// proofs.go asks of every promotion that no fence beside it was proven before a hold and not since, or by such devices; it knows what was proven
// when from the history alone.
// recovery.go asks that a writer in recovery counts as serving to nobody, that no failover which has done nothing waits beside it, and that it is told.
// ends.go asks that from every state in which an operation is in progress the real planner, in a world that works again and with an
// operator who follows the advice, brings it to an end.
//
// Clocks are not explored (S6, S10 and the waits of S8 are the Controller's: see package sim), nor several groups at once (the fleet
// brake), nor the grades of loss: positions are all alike, only who answers differs.
package explore
