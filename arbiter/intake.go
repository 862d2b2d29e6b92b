package arbiter

import (
	"context"
	"errors"
	"slices"
	"sync"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/arbiter-ha/arbiter/failover"
	"github.com/arbiter-ha/arbiter/fsm"
	"github.com/arbiter-ha/arbiter/fsm/wire"
	"github.com/arbiter-ha/arbiter/internal/failpoint"
	arbiterv1 "github.com/arbiter-ha/arbiter/proto/arbiter/v1"
)

// intake is the leader's end of the view streams: it commits what arrives, as many batches in one entry as have come while
// the entry before was under way, and passes on requests to look again.
type intake struct {
	leading *latch
	propose func(failover.Body, func(*fsm.Response, error))
	state   func() *failover.State
	silent  func(failover.ViewSilent)
	// failpoint is nil but in builds for tests.
	failpoint failpoint.Func

	mu      sync.Mutex
	streams map[failover.NodeID]*intakeStream
	waiting []intakeBatch
	busy    bool
}

type intakeStream struct {
	out  chan *arbiterv1.StreamViewsResponse
	end  context.CancelCauseFunc
	last uint64 // the incarnation of the newest batch; 0: it has sent none
}

type intakeBatch struct {
	batch failover.Batch
	size  int  // of its encoding, in bytes
	alone bool // it was in an entry that was refused whole, for the sake of one of the batches in it
	done  func(applied bool, err error)
}

var errNotRead = errors.New("the arbiter does not read what it is told")

var errSuperseded = errors.New("a newer stream of the same arbiter was opened")

func newIntake(leading *latch, propose func(failover.Body, func(*fsm.Response, error)), state func() *failover.State, silent func(failover.ViewSilent)) *intake {
	return &intake{leading: leading, propose: propose, state: state, silent: silent, streams: map[failover.NodeID]*intakeStream{}}
}

// lookAgain asks all connected arbiters for looks that end after they got the request.
func (in *intake) lookAgain(a failover.AskAgain) {
	in.mu.Lock()
	defer in.mu.Unlock()
	ask := &arbiterv1.LookAgain{Group: string(a.Group), Member: string(a.Member), Index: uint64(a.Index)}
	if g := in.state().Group(a.Group); g != nil {
		ask.SpecSince = uint64(g.SpecSince)
	}
	message := &arbiterv1.StreamViewsResponse{Kind: &arbiterv1.StreamViewsResponse_LookAgain{LookAgain: ask}}
	for _, s := range in.streams {
		if len(s.out) >= cap(s.out)/2 {
			continue // the other half is for replies: however many groups fail at once, their requests must not end a stream
		}
		select {
		case s.out <- message:
		default: // a stream that does not take its messages is as good as silent; the Controller asks again
		}
	}
}

// serve runs one stream, from an arbiter whose identity was checked.
func (in *intake) serve(parent context.Context, node failover.NodeID, stream arbiterv1.ArbiterPeerService_StreamViewsServer) error {
	if err := in.awaitLeading(parent); err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(parent)
	defer cancel(nil)
	s := in.register(node, cancel)
	defer in.unregister(node, s)
	go in.endWithReign(ctx, cancel)
	received := make(chan error, 1)
	go func() { received <- in.receive(ctx, node, s, stream) }()
	for {
		select {
		case message := <-s.out:
			if err := stream.Send(message); err != nil {
				return err
			}
		case err := <-received:
			return err
		case <-ctx.Done():
			return status.Error(codes.Unavailable, context.Cause(ctx).Error())
		}
	}
}

// awaitLeading waits until this arbiter's own BeginReign is applied (S8), which a new leader's first callers may be ahead of.
func (in *intake) awaitLeading(ctx context.Context) error {
	for {
		leading, changed := in.leading.get()
		if leading {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return status.FromContextError(ctx.Err()).Err()
		}
	}
}

func (in *intake) endWithReign(ctx context.Context, cancel context.CancelCauseFunc) {
	for {
		leading, changed := in.leading.get()
		if !leading {
			cancel(errors.New("this arbiter no longer leads"))
			return
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return
		}
	}
}

// register makes a stream the one of its arbiter. What the one before it sent last is its own from then on: if it ends before it has sent
// anything, that is the view that nobody sends any more.
func (in *intake) register(node failover.NodeID, end context.CancelCauseFunc) *intakeStream {
	in.mu.Lock()
	defer in.mu.Unlock()
	s := &intakeStream{out: make(chan *arbiterv1.StreamViewsResponse, 64), end: end}
	if old := in.streams[node]; old != nil {
		old.end(errSuperseded)
		s.last = old.last
	}
	in.streams[node] = s
	return s
}

// unregister tells the Controller that a stream ended, unless a newer one took its place.
func (in *intake) unregister(node failover.NodeID, s *intakeStream) {
	in.mu.Lock()
	current := in.streams[node] == s
	if current {
		delete(in.streams, node)
	}
	incarnation := s.last
	in.mu.Unlock()
	if current && incarnation != 0 {
		in.silent(failover.ViewSilent{Node: node, Incarnation: incarnation})
	}
}

func (in *intake) receive(ctx context.Context, node failover.NodeID, s *intakeStream, stream arbiterv1.ArbiterPeerService_StreamViewsServer) error {
	for {
		request, err := stream.Recv()
		if err != nil {
			return err
		}
		batch, err := wire.BatchFromProto(request.GetBatch())
		if err != nil {
			return status.Error(codes.InvalidArgument, err.Error())
		}
		if batch.Node != node {
			return status.Errorf(codes.PermissionDenied, "the certificate is %s's, the view is %s's", node, batch.Node)
		}
		if err := in.note(node, s, batch); err != nil {
			return err
		}
		in.submit(intakeBatch{batch: batch, size: proto.Size(request.GetBatch()), done: func(applied bool, err error) { answer(ctx, s, batch, applied, err) }})
	}
}

// note remembers what a stream sent last, unless it has been replaced, or has ended: what it sends then nobody would silence.
func (in *intake) note(node failover.NodeID, s *intakeStream, batch failover.Batch) error {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.streams[node] != s {
		return errSuperseded
	}
	s.last = batch.Incarnation
	return nil
}

func answer(ctx context.Context, s *intakeStream, batch failover.Batch, applied bool, err error) {
	reply := &arbiterv1.StreamViewsResponse{Kind: &arbiterv1.StreamViewsResponse_Applied{Applied: batch.Sequence}}
	switch {
	case err != nil:
		s.end(err)
		return
	case !applied:
		reply.Kind = &arbiterv1.StreamViewsResponse_SendWhole{SendWhole: true}
	}
	select {
	case s.out <- reply:
	case <-ctx.Done():
	default: // nobody else's commits may wait for one stream
		s.end(errNotRead)
	}
}

// submit commits a batch, together with those that wait for the entry under way.
func (in *intake) submit(b intakeBatch) {
	in.mu.Lock()
	in.waiting = append(in.waiting, b)
	start := !in.busy
	in.busy = true
	in.mu.Unlock()
	if start {
		in.commitWaiting()
	}
}

// entryBatches and entryBytes bound one entry: whole views of a large fleet are big, and fsm.MaxEntryBytes is the end. A single
// batch is always taken.
const (
	entryBatches = 16
	entryBytes   = fsm.MaxEntryBytes / 2
)

// fitting is how many of the waiting batches go into one entry.
func fitting(waiting []intakeBatch) int {
	size := 0
	for i, b := range waiting {
		if size += b.size; i == entryBatches || i > 0 && (b.alone || waiting[0].alone || size > entryBytes) {
			return i
		}
	}
	return len(waiting)
}

func (in *intake) commitWaiting() {
	in.mu.Lock()
	n := fitting(in.waiting)
	if n == 0 {
		in.busy = false
		in.mu.Unlock()
		return
	}
	taken := in.waiting[:n:n]
	in.waiting = in.waiting[n:]
	in.mu.Unlock()
	batches := make([]failover.Batch, n)
	for i, b := range taken {
		batches[i] = b.batch
	}
	in.pass("before-commit-observe")
	in.propose(failover.Observe{Batches: batches}, func(response *fsm.Response, err error) {
		in.pass("after-commit-observe")
		if err == nil && in.refusedWhole(response, taken) {
			in.takeApart(taken)
		} else {
			for _, b := range taken {
				b.done(in.took(b.batch), err)
			}
		}
		in.commitWaiting()
	})
}

// refusedWhole says whether a rule refused an entry of several batches. The state has none of them then, and most may be good.
func (in *intake) refusedWhole(response *fsm.Response, taken []intakeBatch) bool {
	return len(taken) > 1 && response.Rejection != nil && !slices.ContainsFunc(taken, func(b intakeBatch) bool { return in.took(b.batch) })
}

// takeApart lets batches be committed next, each in an entry of its own.
func (in *intake) takeApart(refused []intakeBatch) {
	in.mu.Lock()
	defer in.mu.Unlock()
	for i := range refused {
		refused[i].alone = true
	}
	in.waiting = slices.Concat(refused, in.waiting)
}

// pass is where a build for tests may end this process.
func (in *intake) pass(where string) {
	if in.failpoint != nil {
		in.failpoint(where)
	}
}

// took says whether the state has the batch.
func (in *intake) took(b failover.Batch) bool {
	view, ok := in.state().View(b.Node)
	return ok && view.Current && view.Incarnation == b.Incarnation && view.Sequence >= b.Sequence
}
