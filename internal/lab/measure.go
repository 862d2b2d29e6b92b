package lab

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/arbiter-ha/arbiter/internal/lab/report"
	"github.com/arbiter-ha/arbiter/internal/lab/traffic"
	arbiterv1 "github.com/arbiter-ha/arbiter/proto/arbiter/v1"
)

// ErrIncompleteRecord says that an operation's record lacks a step that every failover has.
var ErrIncompleteRecord = errors.New("record of the operation is incomplete")

// PhasesOf divides the outage by the arbiters' own record of the operation. Their wall clock is this machine's, so the
// moments can be compared; a boundary that the record sets a little before the one it follows counts as equal to it.
func PhasesOf(op *arbiterv1.Operation, fault Moment, outage traffic.Outage) (*report.Phases, error) {
	since := func(t time.Time) float64 { return report.Milliseconds(t.Sub(fault.Wall)) }
	bounds := make([]float64, 0, 6)
	for _, bound := range []struct {
		step string
		end  bool
	}{{"verdict", false}, {"isolate", false}, {"isolate", true}, {"promote", true}, {"route", true}} {
		step := lastDone(op, bound.step)
		if step == nil {
			return nil, fmt.Errorf("%w: no step %q in %s", ErrIncompleteRecord, bound.step, op.GetId())
		}
		at := step.GetBegan().AsTime()
		if bound.end {
			at = at.Add(step.GetTook().AsDuration())
		}
		bounds = append(bounds, since(at))
	}
	total := report.Milliseconds(outage.Length)
	bounds = append(bounds, total)
	// The client may write before the arbiters have recorded that it can.
	var lengths [6]float64
	last := 0.0
	for i, bound := range bounds {
		bound = min(max(bound, last), total)
		lengths[i], last = math.Round((bound-last)*1000)/1000, bound
	}
	return &report.Phases{
		Detect: lengths[0], Decide: lengths[1], Fence: lengths[2], Promote: lengths[3], Route: lengths[4], FirstWrite: lengths[5],
	}, nil
}

// lastDone is the last step of that name; earlier ones are tries that failed.
func lastDone(op *arbiterv1.Operation, name string) *arbiterv1.Step {
	var found *arbiterv1.Step
	for _, step := range op.GetSteps() {
		if step.GetName() == name {
			found = step
		}
	}
	return found
}

// Operation returns an operation of a group once it has ended; the newest one where none is named.
func (l *Lab) Operation(ctx context.Context, group, operation string) (*arbiterv1.Operation, error) {
	c, err := l.Client()
	if err != nil {
		return nil, err
	}
	defer c.Close()
	var op *arbiterv1.Operation
	err = await(ctx, "the end of the operation on "+group, func() error {
		response, err := c.GetOperation(ctx, &arbiterv1.GetOperationRequest{Group: group, Operation: operation})
		if err != nil {
			return err
		}
		op = response.GetOperation()
		if op.GetEnded() == nil {
			return fmt.Errorf("it is %s: %s", op.GetResult(), op.GetHeldReason())
		}
		return nil
	})
	return op, err
}

// Measure ends a run: it waits for the first write on another member than failed, and for settle more writes, stops
// the writer and the truth, and counts. The report has no phases yet.
func (l *Lab) Measure(ctx context.Context, w *traffic.Writer, truth *traffic.Truth, fault Moment, failed string, settle int) (traffic.Outage, report.Run, error) {
	outage, err := w.AwaitOutage(ctx, fault.Boot, failed)
	if err != nil {
		return outage, report.Run{}, err
	}
	if err := w.AwaitAcked(ctx, settle); err != nil {
		return outage, report.Run{}, err
	}
	w.Stop()
	truth.Stop()
	run := report.Run{OutageMS: report.Milliseconds(outage.Length), DoubleWritable: len(truth.Doubles(w))}
	run.LostAcked, err = l.Lost(ctx, w, l.Service(outage.First.Member))
	return outage, run, err
}
