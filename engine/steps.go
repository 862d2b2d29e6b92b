package engine

import (
	"time"

	"github.com/arbiter-ha/arbiter/failover"
	"github.com/arbiter-ha/arbiter/internal/postgres"
)

// recorder measures the steps of one action. It isn't safe for use by several goroutines.
type recorder struct {
	began time.Time
	last  time.Time
	steps []failover.StepTime
}

func startRecorder() *recorder {
	now := time.Now()
	return &recorder{began: now, last: now}
}

// step ends a step that began where the last one ended.
func (r *recorder) step(name, detail string) {
	now := time.Now()
	r.steps = append(r.steps, failover.StepTime{Name: name, Start: r.last.Sub(r.began), Length: now.Sub(r.last), Detail: detail})
	r.last = now
}

// writeSeen ends a step in which a write through a route was seen on the new primary.
func (r *recorder) writeSeen(name, detail string) {
	r.step(name, detail)
	r.steps[len(r.steps)-1].WriteSeen = true
}

func (r *recorder) outcome(result failover.Result, detail string) failover.Outcome {
	return failover.Outcome{Result: result, Detail: detail, Steps: r.steps, Took: time.Since(r.began)}
}

// failed is the outcome of an error before anything was done.
func (r *recorder) failed(err error) failover.Outcome {
	return r.after(failover.ResultFailed, err)
}

// unknown is the outcome of an error after which it may have been done.
func (r *recorder) unknown(err error) failover.Outcome {
	return r.after(failover.ResultUnknown, err)
}

func (r *recorder) after(result failover.Result, err error) failover.Outcome {
	o := r.outcome(result, err.Error())
	o.GrantMissing = postgres.SQLState(err) == missingGrant
	return o
}

// missingGrant is what a server answers to whoever lacks a privilege.
const missingGrant = "42501"

// failedUnless is failed, or unknown if something may have been done.
func (r *recorder) failedUnless(acted bool, err error) failover.Outcome {
	if acted {
		return r.unknown(err)
	}
	return r.failed(err)
}

// readPosition is where a member stands as far as read got; its Detail says why read failed.
func readPosition(member failover.MemberSpec, read func(*failover.MemberPosition) error) failover.MemberPosition {
	position := failover.MemberPosition{Member: member.Name}
	if err := read(&position); err != nil {
		position.Detail, position.GrantMissing = err.Error(), postgres.SQLState(err) == missingGrant
	}
	return position
}
