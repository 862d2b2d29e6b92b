package arbiter

import (
	"bytes"
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/go-hclog"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/arbiter-ha/arbiter/failover"
	"github.com/arbiter-ha/arbiter/fsm"
	"github.com/arbiter-ha/arbiter/fsm/wire"
	arbiterv1 "github.com/arbiter-ha/arbiter/proto/arbiter/v1"
)

func appliedReply(sequence uint64) *arbiterv1.StreamViewsResponse {
	return &arbiterv1.StreamViewsResponse{Kind: &arbiterv1.StreamViewsResponse_Applied{Applied: sequence}}
}

// sentViews is the sender's end of a stream.
type sentViews struct{ batches chan *arbiterv1.Batch }

func (s sentViews) Send(r *arbiterv1.StreamViewsRequest) error { s.batches <- r.GetBatch(); return nil }

func (s sentViews) Recv() (*arbiterv1.StreamViewsResponse, error) {
	return nil, io.EOF
}

func TestViewSender_OneAtATimeAndWholeWhenAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newViewFixture()
		f.seeAll()
		var said bytes.Buffer
		s, stream := &viewSender{view: f.view, clock: f.clock, log: hclog.New(&hclog.LoggerOptions{Output: &said, DisableTime: true})}, sentViews{batches: make(chan *arbiterv1.Batch, 8)}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		replies, ended := make(chan *arbiterv1.StreamViewsResponse), make(chan error, 1)
		begin := func() { go func() { ended <- s.sendViews(ctx, stream, replies, nil) }() }
		s.tellEnd(ctx, "az-b", errors.New("refused"))
		begin()
		first := <-stream.batches
		if !first.GetWhole() || first.GetSequence() != 1 || len(first.GetObservations()) != 3 {
			t.Fatalf("first %v", first)
		}
		f.see("db1", failover.ReasonTooManyConnections)
		synctest.Wait()
		if len(stream.batches) != 0 {
			t.Error("a change was sent before the whole view was applied")
		}
		replies <- appliedReply(1)
		second := <-stream.batches
		ending := func(why string) string {
			defer said.Reset()
			s.tellEnd(ctx, "az-b", errors.New(why))
			return said.String()
		}
		if got, want := ending("reset"), "[INFO]  view stream ended; the view is sent whole on the next one: leader=az-b error=reset\n"; got != want {
			t.Errorf("it says %q, want %q", got, want)
		}
		if second.GetWhole() || second.GetSequence() != 2 || len(second.GetObservations()) != 1 || second.GetIncarnation() != first.GetIncarnation() {
			t.Fatalf("second %v", second)
		}
		replies <- &arbiterv1.StreamViewsResponse{Kind: &arbiterv1.StreamViewsResponse_SendWhole{SendWhole: true}}
		if err := <-ended; !errors.Is(err, errResend) {
			t.Fatalf("ended with %v, want errResend", err)
		}
		f.clock.Advance(1) // a new incarnation is a later one
		begin()
		third := <-stream.batches
		if !third.GetWhole() || third.GetSequence() != 1 || len(third.GetObservations()) != 3 || third.GetIncarnation() <= first.GetIncarnation() {
			t.Errorf("third %v", third)
		}
		cancel()
		<-ended
	})
}

// A leader that takes no view is sent one whole after the other with growing pauses, and at once as soon as it takes something.
func TestViewSender_PausesBetweenWholeViewsThatAreNotTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newViewFixture()
		f.seeAll()
		var said bytes.Buffer
		s := &viewSender{view: f.view, clock: f.clock, log: hclog.New(&hclog.LoggerOptions{Output: &said, DisableTime: true})}
		stream, replies, failed := sentViews{batches: make(chan *arbiterv1.Batch)}, make(chan *arbiterv1.StreamViewsResponse), make(chan error)
		ended := make(chan error, 1)
		go func() { ended <- s.sendAll(t.Context(), stream, replies, failed) }()
		again := &arbiterv1.StreamViewsResponse{Kind: &arbiterv1.StreamViewsResponse_SendWhole{SendWhole: true}}
		pausesOf := func(n int) (pauses []time.Duration) {
			for range n {
				replies <- again
				began := time.Now()
				if b := <-stream.batches; !b.GetWhole() {
					t.Fatalf("sent %v, want the whole view", b)
				}
				pauses = append(pauses, time.Since(began))
			}
			return pauses
		}
		<-stream.batches
		const ms = time.Millisecond
		if got, want := pausesOf(9), []time.Duration{0, 20 * ms, 40 * ms, 80 * ms, 160 * ms, 320 * ms, 640 * ms, time.Second, time.Second}; !slices.Equal(got, want) {
			t.Errorf("pauses %v, want %v", got, want)
		}
		if n := strings.Count(said.String(), "did not take the whole view"); n != 1 {
			t.Errorf("said %d times: %s", n, said.String())
		}
		replies <- appliedReply(1)
		f.see("db1", failover.ReasonTooManyConnections)
		<-stream.batches
		if got := pausesOf(2); !slices.Equal(got, []time.Duration{0, 20 * ms}) {
			t.Errorf("after it took one, pauses %v", got)
		}
		replies <- again
		failed <- io.EOF
		if err := <-ended; !errors.Is(err, io.EOF) {
			t.Errorf("a stream that has ended in a pause: %v", err)
		}
	})
}

// asks is a stream on which one request to look again comes.
type asks struct {
	sentViews
	ask *arbiterv1.LookAgain // nil: it came
}

func (a *asks) Recv() (*arbiterv1.StreamViewsResponse, error) {
	if a.ask == nil {
		return nil, io.EOF
	}
	ask := a.ask
	a.ask = nil
	return &arbiterv1.StreamViewsResponse{Kind: &arbiterv1.StreamViewsResponse_LookAgain{LookAgain: ask}}, nil
}

// What the leader asks reaches the view whole: it waits for the member and the spec that were named.
func TestViewSender_PassesOnWhatIsAsked(t *testing.T) {
	f := newViewFixture()
	f.seeAll()
	incarnation := f.whole().Incarnation
	s := &viewSender{view: f.view, prober: troubled{}, log: quiet()}
	ask := &asks{ask: &arbiterv1.LookAgain{Group: "pay", Member: "db1", Index: 200, SpecSince: 1}}
	if err := s.receive(t.Context(), ask, nil); !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	f.seeAll()
	if b, _, _ := f.changes(incarnation); len(b.Answers) > 0 {
		t.Errorf("answered %v by the spec before", b.Answers)
	}
	f.state().Groups[0].SpecSince = 1
	for _, m := range []failover.MemberName{"db1", "db2", "db3"} {
		r := f.report(m, failover.ReasonAnswered)
		r.SpecSince = 1
		f.observe(r)
	}
	if b, _, _ := f.changes(incarnation); len(b.Answers) != 1 || b.Answers[0].Index != 200 {
		t.Errorf("answered %v", b.Answers)
	}
}

// leaderEnd is the leader's end of a stream.
type leaderEnd struct {
	grpc.ServerStream
	in  chan *arbiterv1.StreamViewsRequest
	out chan *arbiterv1.StreamViewsResponse
}

func newLeaderEnd() *leaderEnd {
	return &leaderEnd{in: make(chan *arbiterv1.StreamViewsRequest, 64), out: make(chan *arbiterv1.StreamViewsResponse, 64)}
}

func (l *leaderEnd) Send(r *arbiterv1.StreamViewsResponse) error { l.out <- r; return nil }
func (l *leaderEnd) Recv() (*arbiterv1.StreamViewsRequest, error) {
	r, ok := <-l.in
	if !ok {
		return nil, io.EOF
	}
	return r, nil
}

func (l *leaderEnd) batch(node failover.NodeID, sequence uint64) {
	b := failover.Batch{Node: node, Incarnation: 1, Sequence: sequence, Whole: sequence == 1, Version: failover.CurrentVersion}
	message, _ := wire.BatchToProto(b) // it has nothing that can't be written
	l.in <- &arbiterv1.StreamViewsRequest{Batch: message}
}

// intakeFixture is an intake of a leader whose log is a channel.
type intakeFixture struct {
	*intake
	state    *failover.State
	proposed chan failover.Observe
	conclude chan error // one for each proposal: what became of it
	refuse   chan error // as conclude, for one that a rule refused whole
	silent   chan failover.ViewSilent
}

func newIntakeFixture(leading bool) intakeFixture {
	f := intakeFixture{
		state: &failover.State{}, proposed: make(chan failover.Observe, 64), conclude: make(chan error), refuse: make(chan error), silent: make(chan failover.ViewSilent, 8),
	}
	l := newLatch()
	l.set(leading)
	f.intake = newIntake(l, func(body failover.Body, done func(*fsm.Response, error)) {
		f.proposed <- body.(failover.Observe)
		go func() {
			select {
			case err := <-f.conclude:
				done(&fsm.Response{}, err)
			case err := <-f.refuse:
				done(&fsm.Response{Rejection: &failover.Event{Kind: failover.Rejected}}, err)
			}
		}()
	}, func() *failover.State { return f.state }, func(v failover.ViewSilent) { f.silent <- v })
	return f
}

func (f intakeFixture) run(t *testing.T, node failover.NodeID, stream *leaderEnd) <-chan error {
	ended := make(chan error, 1)
	go func() { ended <- f.serve(t.Context(), node, stream) }()
	return ended
}

func TestIntake_AnswersWhatTheStateHas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, stream := newIntakeFixture(true), newLeaderEnd()
		ended := f.run(t, "az-b", stream)
		stream.batch("az-b", 1)
		<-f.proposed
		f.state.Views = []failover.View{{Node: "az-b", Current: true, Incarnation: 1, Sequence: 1}}
		f.conclude <- nil
		if r := <-stream.out; r.GetApplied() != 1 {
			t.Errorf("answered %v, want applied 1", r)
		}
		stream.batch("az-b", 3) // one is missing in between: the state did not take it
		<-f.proposed
		f.conclude <- nil
		if r := <-stream.out; !r.GetSendWhole() {
			t.Errorf("answered %v, want to be sent the whole view", r)
		}
		stream.batch("az-b", 4)
		<-f.proposed
		f.conclude <- ErrStopped // its fate is unknown: the stream ends, and the sender begins anew
		if err := <-ended; status.Code(err) != codes.Unavailable {
			t.Errorf("ended with %v", err)
		}
		if v := <-f.silent; v.Node != "az-b" || v.Incarnation != 1 {
			t.Errorf("silent %+v", v)
		}
		close(stream.in)
	})
}

func TestIntake_OneEntryForAllThatWaited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, stream := newIntakeFixture(true), newLeaderEnd()
		ended := f.run(t, "az-b", stream)
		for sequence := range uint64(entryBatches + 4) {
			stream.batch("az-b", sequence+1)
		}
		synctest.Wait()
		var sizes []int
		for range 3 {
			sizes = append(sizes, len((<-f.proposed).Batches))
			f.conclude <- nil
			synctest.Wait()
		}
		if sizes[0] != 1 || sizes[1] != entryBatches || sizes[2] != 3 || len(f.proposed) != 0 {
			t.Errorf("entries of %v batches, and %d more", sizes, len(f.proposed))
		}
		close(stream.in)
		if err := <-ended; !errors.Is(err, io.EOF) {
			t.Errorf("ended with %v", err)
		}
	})
}

// What a rule refuses for the sake of one arbiter's batch is not lost for the others: each is committed alone, before what came later.
func TestIntake_OneRefusedBatchDoesNotCostTheOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newIntakeFixture(true)
		nodes := []failover.NodeID{"az-a", "az-b", "az-c"}
		streams := map[failover.NodeID]*leaderEnd{}
		var ended []<-chan error
		for _, node := range nodes {
			streams[node] = newLeaderEnd()
			ended = append(ended, f.run(t, node, streams[node]))
		}
		take := func(node failover.NodeID, sequence uint64) {
			f.state.Views = append(f.state.Views, failover.View{Node: node, Current: true, Incarnation: 1, Sequence: sequence})
			slices.SortFunc(f.state.Views, func(a, b failover.View) int { return strings.Compare(string(a.Node), string(b.Node)) })
		}
		next := func() (in []failover.NodeID) {
			for _, b := range (<-f.proposed).Batches {
				in = append(in, b.Node)
			}
			return in
		}
		synctest.Wait()
		streams["az-a"].batch("az-a", 1)
		synctest.Wait()
		for _, node := range nodes[1:] {
			streams[node].batch(node, 1)
			synctest.Wait()
		}
		if got := next(); !slices.Equal(got, nodes[:1]) {
			t.Fatalf("first %v", got)
		}
		take("az-a", 1)
		f.conclude <- nil
		if got := next(); !slices.Equal(got, nodes[1:]) {
			t.Fatalf("what waited: %v", got)
		}
		streams["az-a"].batch("az-a", 2)
		synctest.Wait()
		f.refuse <- nil
		if got := next(); !slices.Equal(got, nodes[1:2]) {
			t.Fatalf("after the refusal: %v", got)
		}
		f.refuse <- nil
		if got := next(); !slices.Equal(got, nodes[2:]) {
			t.Fatalf("after the refusal: %v", got)
		}
		take("az-c", 1)
		f.conclude <- nil
		if got := next(); !slices.Equal(got, nodes[:1]) {
			t.Fatalf("what came later: %v", got)
		}
		f.conclude <- nil
		if r := <-streams["az-b"].out; !r.GetSendWhole() {
			t.Errorf("the one that is refused is answered %v", r)
		}
		if r := <-streams["az-c"].out; r.GetApplied() != 1 {
			t.Errorf("the good one beside it is answered %v", r)
		}
		for i, node := range nodes {
			close(streams[node].in)
			<-ended[i]
		}
	})
}

func TestIntake_ANewerStreamReplacesTheOld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, old, newer := newIntakeFixture(true), newLeaderEnd(), newLeaderEnd()
		first := f.run(t, "az-b", old)
		synctest.Wait()
		second := f.run(t, "az-b", newer)
		if err := <-first; status.Convert(err).Message() != errSuperseded.Error() {
			t.Errorf("the old one ended with %v", err)
		}
		synctest.Wait()
		if len(f.silent) != 0 {
			t.Error("az-b is said to be silent, and has a stream")
		}
		f.state.Groups = []*failover.Group{{Name: "pay", SpecSince: 4}}
		f.lookAgain(failover.AskAgain{Group: "pay", Member: "db2", Index: 9})
		want := &arbiterv1.LookAgain{Group: "pay", Index: 9, Member: "db2", SpecSince: 4}
		if r := <-newer.out; !proto.Equal(r.GetLookAgain(), want) || len(old.out) != 0 {
			t.Errorf("asked %v", r)
		}
		close(old.in)
		close(newer.in)
		<-second
	})
}

// A stream that replaces another one and dies before it has sent anything leaves a view behind that nobody sends any more.
func TestIntake_TheEndOfAStreamSilencesWhatTheOneBeforeItSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, streams := newIntakeFixture(true), []*leaderEnd{newLeaderEnd(), newLeaderEnd(), newLeaderEnd()}
		ended := []<-chan error{f.run(t, "az-b", streams[0])}
		streams[0].batch("az-b", 1)
		<-f.proposed
		f.conclude <- nil
		for _, newer := range streams[1:] {
			synctest.Wait()
			ended = append(ended, f.run(t, "az-b", newer))
		}
		synctest.Wait()
		streams[0].batch("az-b", 2) // was under way when it was replaced
		synctest.Wait()
		if len(f.silent) != 0 || len(f.proposed) != 0 {
			t.Fatalf("%d said to be silent, %d entries of a stream that was replaced", len(f.silent), len(f.proposed))
		}
		for i, stream := range streams {
			close(stream.in)
			<-ended[i]
		}
		if len(f.silent) != 1 {
			t.Fatalf("%d are said to be silent", len(f.silent))
		}
		if v := <-f.silent; v.Node != "az-b" || v.Incarnation != 1 {
			t.Errorf("silent %+v", v)
		}
	})
}

func TestIntake_OnlyWhileLeading(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, stream := newIntakeFixture(false), newLeaderEnd()
		ended := f.run(t, "az-b", stream)
		stream.batch("az-b", 1)
		synctest.Wait()
		if len(f.proposed) != 0 || len(stream.in) != 1 {
			t.Error("a batch was taken before the own reign")
		}
		f.leading.set(true)
		<-f.proposed
		f.conclude <- nil
		f.leading.set(false)
		if err := <-ended; status.Code(err) != codes.Unavailable {
			t.Errorf("at the end of the reign: %v", err)
		}
		close(stream.in)
	})
}

func TestIntake_NobodySpeaksForAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, stream := newIntakeFixture(true), newLeaderEnd()
		ended := f.run(t, "az-b", stream)
		stream.batch("az-c", 1)
		if err := <-ended; status.Code(err) != codes.PermissionDenied || len(f.proposed) != 0 {
			t.Errorf("ended with %v, %d proposed", err, len(f.proposed))
		}
	})
}

// Whole views of a large fleet must not make an entry that nobody can apply.
func TestIntake_EntriesStayBelowTheLimit(t *testing.T) {
	batches := func(sizes ...int) (waiting []intakeBatch) {
		for _, size := range sizes {
			waiting = append(waiting, intakeBatch{size: size})
		}
		return waiting
	}
	for want, waiting := range map[int][]intakeBatch{
		0: nil,
		1: batches(2*entryBytes, 1),
		2: batches(entryBytes/2, entryBytes/2, 1),
		3: batches(1, 2, 3),
	} {
		if got := fitting(waiting); got != want {
			t.Errorf("%d of %v fit, want %d", got, waiting, want)
		}
	}
}

// A stream that is not read ends; nobody else's commits wait for it.
func TestIntake_AStreamThatIsNotReadEnds(t *testing.T) {
	var ended error
	s := &intakeStream{out: make(chan *arbiterv1.StreamViewsResponse, 1), end: func(err error) { ended = err }}
	answer(t.Context(), s, failover.Batch{Sequence: 1}, true, nil)
	if ended != nil {
		t.Fatalf("ended with %v", ended)
	}
	answer(t.Context(), s, failover.Batch{Sequence: 2}, true, nil)
	if !errors.Is(ended, errNotRead) {
		t.Errorf("ended with %v", ended)
	}
}

// However many groups fail at once, the requests to look again leave room for the replies, without which a stream ends.
func TestIntake_RequestsLeaveRoomForReplies(t *testing.T) {
	f := newIntakeFixture(true)
	var ended error
	s := f.register("az-b", func(err error) { ended = err })
	for range 10 * cap(s.out) {
		f.lookAgain(failover.AskAgain{Group: "pay", Member: "db1", Index: 9})
	}
	answer(t.Context(), s, failover.Batch{Sequence: 1}, true, nil)
	if ended != nil {
		t.Errorf("ended with %v", ended)
	}
}
