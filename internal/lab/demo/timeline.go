package demo

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/arbiter-ha/arbiter/client"
	"github.com/arbiter-ha/arbiter/internal/lab"
	"github.com/arbiter-ha/arbiter/internal/spans"
	arbiterv1 "github.com/arbiter-ha/arbiter/proto/arbiter/v1"
)

// timeline prints the steps of the group's operation as they are committed, in the words of `arbiterctl show`, which draws them to scale once all
// are known: each event makes it read the operation.
type timeline struct {
	out    io.Writer
	client *client.Client
	end    context.CancelFunc
	work   sync.WaitGroup

	mu        sync.Mutex
	fault     time.Time
	operation string // the one that followed the fault; a slow machine may suspect the new primary, too, and that is another one
	printed   int
}

// follow starts to listen; lines are printed from begin on.
func (s *show) follow(ctx context.Context) (*timeline, error) {
	c, err := s.lab.Client()
	if err != nil {
		return nil, err
	}
	ctx, end := context.WithCancel(ctx)
	t := &timeline{out: s.Out, client: c, end: end}
	listening := make(chan struct{})
	t.work.Go(func() {
		heard := sync.OnceFunc(func() { close(listening) })
		defer heard()
		for item, err := range c.Watch(ctx, &arbiterv1.WatchEventsRequest{Group: lab.Group}) {
			if err != nil {
				return // the end of the operation is read all the same
			}
			if item.CaughtUp {
				heard()
			}
			if item.Event != nil {
				t.read(ctx)
			}
		}
	})
	select {
	case <-listening:
	case <-ctx.Done():
	}
	return t, nil
}

// begin sets the zero of the timeline.
func (t *timeline) begin(fault time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.fault = fault
}

// read prints what the operation has gained. A read that fails is made up for by the next one.
func (t *timeline) read(ctx context.Context) {
	t.mu.Lock()
	begun, operation := !t.fault.IsZero(), t.operation
	t.mu.Unlock()
	if !begun {
		return
	}
	response, err := t.client.GetOperation(ctx, &arbiterv1.GetOperationRequest{Group: lab.Group, Operation: operation})
	if err == nil {
		t.print(response.GetOperation())
	}
}

// print prints the steps that were not printed before. An operation from before the fault is none of ours.
func (t *timeline) print(op *arbiterv1.Operation) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if op.GetBegan().AsTime().Before(t.fault) {
		return
	}
	t.operation = op.GetId()
	for _, step := range op.GetSteps()[min(t.printed, len(op.GetSteps())):] {
		fmt.Fprintln(t.out, line(step, t.fault))
		t.printed++
	}
}

// about is the operation that the timeline is about, empty if it has seen none.
func (t *timeline) about() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.operation
}

// finish prints what is missing of an operation that has ended.
func (t *timeline) finish(op *arbiterv1.Operation) {
	t.print(op)
	fmt.Fprintf(t.out, "%6.0f ms  %-12s epoch %d → %d, %s → %s\n", sinceFault(op.GetEnded().AsTime(), t.fault), op.GetResult(),
		op.GetEpochBefore(), op.GetEpochAfter(), op.GetFrom(), op.GetTo())
}

func (t *timeline) stop() {
	t.end()
	t.work.Wait()
	_ = t.client.Close() // nothing is under way any more
}

// line is one step: when it began, its name, what came of it, and how long it took.
func line(step *arbiterv1.Step, fault time.Time) string {
	words := []string{step.GetMember(), spans.InWords(step.GetDetail())}
	// Most details name the proof's grade already.
	if grade, _, _ := strings.Cut(step.GetProof(), " "); !strings.Contains(step.GetDetail(), grade) {
		words = append(words, step.GetProof())
	}
	if took := step.GetTook().AsDuration(); took > 0 && step.GetName() != "fault" {
		words = append(words, fmt.Sprintf("(%d ms)", took.Milliseconds()))
	}
	said := strings.Join(strings.Fields(strings.Join(words, " ")), " ")
	name := strings.ReplaceAll(step.GetName(), "_", " ")
	if name == "verdict" {
		name = "verdict down"
	}
	return strings.TrimRight(fmt.Sprintf("%6.0f ms  %-12s %s", sinceFault(step.GetBegan().AsTime(), fault), name, said), " ")
}

func sinceFault(t, fault time.Time) float64 {
	return max(0, float64(t.Sub(fault))/float64(time.Millisecond))
}
