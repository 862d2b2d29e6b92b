package explore

import (
	"slices"

	"github.com/arbiter-ha/arbiter/failover"
)

// proofs is what a history says of the fences of the operation in progress. The product keeps marks of its own for this; these are made of
// entries and stages alone.
type proofs struct {
	fenced []failover.MemberName // by a proof of this operation that stands
	old    []failover.MemberName // of these, the ones that were so when an entry found the operation held: time has passed since
}

// after is what is known once an entry was accepted.
func (p proofs) after(was, is *failover.Group, e failover.Entry) proofs {
	if was == nil || is == nil || was.Operation == nil || is.Operation == nil || was.Operation.ID != is.Operation.ID {
		return proofs{}
	}
	gone := func(name failover.MemberName) bool {
		m := is.Member(name)
		return m == nil || m.Authority != failover.AuthorityNone
	}
	next := proofs{slices.DeleteFunc(slices.Clone(p.fenced), gone), slices.DeleteFunc(slices.Clone(p.old), gone)}
	if was.Stage == failover.Held {
		next.old = slices.Clone(next.fenced)
	}
	if _, ok := e.Body.(failover.Conclude); ok && was.Operation.Intent != nil && was.Operation.Intent.Action == failover.ActionIsolate {
		if name := was.Operation.Intent.Member; was.Member(name).Authority == failover.AuthorityRevoked && !gone(name) {
			next.fenced = append(next.fenced, name)
		}
	}
	return next
}

// check is S3 of proofs that are void: nobody is promoted beside a member whose fence was proven before a hold, since its power may be back, or by
// devices that were seen to be wrong about it.
func (p proofs) check(was, is *failover.Group, e failover.Entry) *broken {
	b, ok := e.Body.(failover.Intend)
	if !ok || b.Action != failover.ActionPromote || was == nil || is == nil || !intentOpened(was, is, e) || was.Operation.Candidate == b.Member {
		return nil
	}
	for _, name := range p.fenced {
		if name != b.Member && misfenced(was.Member(name)) {
			return breaks("S3", "%s is promoted beside %s, which is proven to have stopped by devices that were seen to be wrong about it", b.Member, name)
		}
	}
	for _, name := range p.old {
		if name != b.Member {
			return breaks("S3", "%s is promoted beside %s, which was proven to have stopped before the operation was held, and not since", b.Member, name)
		}
	}
	return nil
}
