package sim

import (
	"slices"
	"time"

	"github.com/arbiter-ha/arbiter/failover"
	"github.com/arbiter-ha/arbiter/internal/ownview"
)

// intake is the leader's end of the view streams: it commits what arrives, as many batches in one entry as have come while the entry
// before was under way, and passes on requests to look again.
type intake struct {
	node    *node
	streams map[failover.NodeID]*stream
	waits   []*stream // until this arbiter leads
	waiting []intakeBatch
	busy    bool
}

type intakeBatch struct {
	stream *stream
	batch  failover.Batch
	alone  bool // it was in an entry that was refused whole, for the sake of one of the batches in it
}

// entryBatches bounds one entry.
const entryBatches = 16

func newIntake(n *node) *intake { return &intake{node: n, streams: map[failover.NodeID]*stream{}} }

// open takes a stream once this arbiter's own BeginReign is applied (S8).
func (in *intake) open(st *stream) {
	if !in.node.leading {
		in.waits = append(in.waits, st)
		return
	}
	in.register(st)
}

func (in *intake) register(st *stream) {
	if st.serverEnded {
		return
	}
	if old := in.streams[st.from.id]; old != nil {
		in.streams[st.from.id] = st // first, so that the old one's end isn't the arbiter's silence
		old.endServer()
	}
	in.streams[st.from.id] = st
	st.registered = true
	early := st.early
	st.early = nil
	for _, b := range early {
		in.submit(st, b)
	}
}

func (in *intake) leadingChanged() {
	if in.node.leading {
		waits := in.waits
		in.waits = nil
		for _, st := range waits {
			in.register(st)
		}
		return
	}
	for _, id := range sortedKeys(in.streams) {
		in.streams[id].endServer()
	}
}

// ended tells the Controller that a stream ended, unless a newer one took its place.
func (in *intake) ended(st *stream) {
	if in.streams[st.from.id] != st {
		return
	}
	delete(in.streams, st.from.id)
	if st.last.Incarnation != 0 {
		in.node.sim.note("%s hears no more of %s", in.node.id, st.from.id)
		in.node.input(failover.ViewSilent{Node: st.from.id, Incarnation: st.last.Incarnation})
	}
}

// receive takes a batch, at once or, as the one who reads it may be held up, a little later. So it may come after a newer stream's first.
func (in *intake) receive(st *stream, b failover.Batch) {
	if in.node.sim.netDice.chance(3) && !in.node.sim.healed {
		in.node.post(in.node.sim.netDice.between(0, 800*time.Millisecond), func() { in.submit(st, b) })
		return
	}
	in.submit(st, b)
}

// submit commits a batch. One that was under way when its stream ended may still be taken.
func (in *intake) submit(st *stream, b failover.Batch) {
	switch {
	case !st.registered:
		st.early = append(st.early, b)
		return
	case st.serverEnded && in.node.sim.netDice.chance(50):
		return
	}
	st.last = b
	in.waiting = append(in.waiting, intakeBatch{stream: st, batch: b})
	in.commitWaiting()
}

func (in *intake) commitWaiting() {
	if in.busy || len(in.waiting) == 0 {
		return
	}
	in.busy = true
	n := in.fitting()
	taken := in.waiting[:n:n]
	in.waiting = in.waiting[n:]
	batches := make([]failover.Batch, n)
	for i, b := range taken {
		batches[i] = b.batch
	}
	in.node.commit(failover.Observe{Batches: batches}, func(e *entry, err error) {
		in.node.post(in.node.dice.between(0, 200*time.Microsecond), func() {
			if err == nil && in.refusedWhole(e, taken) {
				in.takeApart(taken)
			} else {
				for _, b := range taken {
					in.answer(b, err)
				}
			}
			in.busy = false
			in.commitWaiting()
		})
	})
}

// fitting is how many of the waiting batches go into one entry.
func (in *intake) fitting() int {
	for i, b := range in.waiting {
		if i == entryBatches || i > 0 && (b.alone || in.waiting[0].alone) {
			return i
		}
	}
	return len(in.waiting)
}

// refusedWhole says whether a rule refused an entry of several batches. The state has none of them then, and most may be good.
func (in *intake) refusedWhole(e *entry, taken []intakeBatch) bool {
	return len(taken) > 1 && rejection(e.events) != nil && !slices.ContainsFunc(taken, func(b intakeBatch) bool { return in.took(b.batch) })
}

// takeApart lets batches be committed next, each in an entry of its own.
func (in *intake) takeApart(refused []intakeBatch) {
	for i := range refused {
		refused[i].alone = true
	}
	in.waiting = slices.Concat(refused, in.waiting)
}

func (in *intake) answer(b intakeBatch, err error) {
	if err != nil {
		b.stream.endServer()
		return
	}
	took := in.took(b.batch)
	b.stream.reply(func(s *sender) { s.applied(b.batch.Sequence, !took) })
}

// took says whether the state has the batch.
func (in *intake) took(b failover.Batch) bool {
	view, ok := in.node.state.View(b.Node)
	return ok && view.Current && view.Incarnation == b.Incarnation && view.Sequence >= b.Sequence
}

// lookAgain asks all connected arbiters for looks that end after they got the request.
func (in *intake) lookAgain(a failover.AskAgain) {
	in.node.sim.note("%s asks for looks at %s of %s since %d", in.node.id, a.Member, a.Group, a.Index)
	ask := ownview.Ask{Group: a.Group, Member: a.Member, Index: a.Index}
	if g := in.node.state.Group(a.Group); g != nil {
		ask.SpecSince = g.SpecSince
	}
	for _, id := range sortedKeys(in.streams) {
		in.streams[id].reply(func(s *sender) {
			s.node.view.askAgain(ask)
			s.node.prober.lookAgain(a.Group)
		})
	}
}
