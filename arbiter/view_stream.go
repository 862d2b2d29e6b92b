package arbiter

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/arbiter-ha/arbiter/failover"
	"github.com/arbiter-ha/arbiter/fsm/wire"
	"github.com/arbiter-ha/arbiter/internal/clock"
	"github.com/arbiter-ha/arbiter/internal/ownview"
	arbiterv1 "github.com/arbiter-ha/arbiter/proto/arbiter/v1"
)

// errResend says that the leader lacks something: the view is sent whole, on the same stream.
var errResend = errors.New("the leader asks for the whole view")

// viewSender keeps a stream to the present leader and sends this arbiter's view on it.
type viewSender struct {
	view   *view
	clock  clock.Clock
	log    hclog.Logger
	leader func() (failover.NodeID, <-chan struct{}) // closed when it may have changed
	peers  *peers
	prober Prober
	taken  bool // the leader has taken this arbiter's whole view on the present stream
	// resend is the pause before the view is sent whole once more, if the leader has taken nothing since it was the last time.
	resend time.Duration
}

const (
	// streamRetry is the pause after a stream ended: the leader may be gone, and a new one is looked for.
	streamRetry = 20 * time.Millisecond
	// The pauses between whole views of which the leader takes none grow from the first to the last: each is an entry in the log.
	firstResendPause = streamRetry
	lastResendPause  = time.Second
)

func (s *viewSender) run(ctx context.Context) error {
	for ctx.Err() == nil {
		leader, changed := s.leader()
		if leader != "" {
			s.taken, s.resend = false, 0
			err := s.serve(ctx, leader, changed)
			s.tellEnd(ctx, leader, err)
		}
		if err := clock.Wait(ctx, s.clock, streamRetry); err != nil {
			return err
		}
	}
	return context.Cause(ctx)
}

// tellEnd logs that a stream has ended. If the leader had taken the view, it is sent whole once more: somebody may want to know why the log grows.
// While no leader is found, streams end many times a second.
func (s *viewSender) tellEnd(ctx context.Context, leader failover.NodeID, err error) {
	if s.taken && ctx.Err() == nil {
		s.log.Info("view stream ended; the view is sent whole on the next one", "leader", leader, "error", err)
		return
	}
	s.log.Debug("view stream ended", "leader", leader, "error", err)
}

// serve runs one stream to one leader.
func (s *viewSender) serve(parent context.Context, leader failover.NodeID, changed <-chan struct{}) error {
	ctx, cancel := context.WithCancel(parent)
	defer cancel()
	go func() {
		select {
		case <-changed:
			cancel()
		case <-ctx.Done():
		}
	}()
	client, err := s.peers.client(leader)
	if err != nil {
		return err
	}
	stream, err := client.StreamViews(ctx)
	if err != nil {
		return fmt.Errorf("open view stream to %s: %w", leader, err)
	}
	replies := make(chan *arbiterv1.StreamViewsResponse, 16)
	failed := make(chan error, 1)
	go func() { failed <- s.receive(ctx, stream, replies) }()
	return s.sendAll(ctx, stream, replies, failed)
}

// sendAll sends the view whole as often as the leader asks for that.
func (s *viewSender) sendAll(ctx context.Context, stream viewStream, replies <-chan *arbiterv1.StreamViewsResponse, failed <-chan error) error {
	for {
		err := s.sendViews(ctx, stream, replies, failed)
		if !errors.Is(err, errResend) {
			return err
		}
		if err := s.beforeResend(ctx, failed); err != nil {
			return err
		}
	}
}

// beforeResend pauses, unless the leader has taken something since the view was sent whole for the last time.
func (s *viewSender) beforeResend(ctx context.Context, failed <-chan error) error {
	pause := s.resend
	s.resend = min(max(2*pause, firstResendPause), lastResendPause)
	switch pause {
	case 0:
		return nil
	case firstResendPause:
		s.log.Warn("the leader did not take the whole view; it is sent again and again, after pauses. The events say by which rule it was refused")
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case err := <-failed:
		return err
	case <-time.After(pause):
		return nil
	}
}

type viewStream interface {
	Send(*arbiterv1.StreamViewsRequest) error
	Recv() (*arbiterv1.StreamViewsResponse, error)
}

// receive takes requests to look again at once, and hands the rest on.
func (s *viewSender) receive(ctx context.Context, stream viewStream, replies chan<- *arbiterv1.StreamViewsResponse) error {
	for {
		reply, err := stream.Recv()
		if err != nil {
			return err
		}
		if ask := reply.GetLookAgain(); ask != nil {
			s.view.askAgain(ownview.Ask{
				Group: failover.GroupName(ask.GetGroup()), Member: failover.MemberName(ask.GetMember()), Index: failover.Index(ask.GetIndex()),
				SpecSince: failover.Index(ask.GetSpecSince()),
			})
			s.prober.LookAgain(failover.GroupName(ask.GetGroup()))
			continue
		}
		select {
		case replies <- reply:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// sendViews sends the whole view, then changes as they come, each after the one before it was applied.
func (s *viewSender) sendViews(ctx context.Context, stream viewStream, replies <-chan *arbiterv1.StreamViewsResponse, failed <-chan error) error {
	batch := s.view.whole()
	incarnation := batch.Incarnation
	for {
		message, err := wire.BatchToProto(batch)
		if err != nil {
			return fmt.Errorf("write the view: %w", err)
		}
		if err := stream.Send(&arbiterv1.StreamViewsRequest{Batch: message}); err != nil {
			return err
		}
		if err := s.awaitApplied(ctx, replies, failed, batch.Sequence); err != nil {
			return err
		}
		s.view.applied()
		s.taken, s.resend = true, 0
		if batch, err = s.awaitChange(ctx, replies, failed, incarnation); err != nil {
			return err
		}
	}
}

func (s *viewSender) awaitApplied(ctx context.Context, replies <-chan *arbiterv1.StreamViewsResponse, failed <-chan error, sequence uint64) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case err := <-failed:
			return err
		case reply := <-replies:
			if reply.GetSendWhole() {
				return errResend
			}
			if reply.GetApplied() >= sequence {
				return nil
			}
		}
	}
}

func (s *viewSender) awaitChange(ctx context.Context, replies <-chan *arbiterv1.StreamViewsResponse, failed <-chan error, incarnation uint64) (failover.Batch, error) {
	for {
		batch, some, again := s.view.changes(incarnation)
		if some {
			return batch, nil
		}
		var later <-chan time.Time
		if again > 0 {
			later = time.After(again)
		}
		select {
		case <-ctx.Done():
			return batch, ctx.Err()
		case err := <-failed:
			return batch, err
		case reply := <-replies:
			if reply.GetSendWhole() {
				return batch, errResend
			}
		case <-s.view.changed:
		case <-later:
		}
	}
}
