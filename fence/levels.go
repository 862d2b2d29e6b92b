//go:build linux

package fence

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/arbiter-ha/arbiter/failover"
	"github.com/arbiter-ha/arbiter/internal/clock"
	"github.com/arbiter-ha/arbiter/internal/fencesettings"
)

var (
	// ErrLostRace ends the devices of a level when another level was faster.
	ErrLostRace = errors.New("another level proved it first")
	// ErrLevelFailed ends a device when another one of its level failed: all must succeed.
	ErrLevelFailed = errors.New("another device of the level failed")
	// ErrStillAnswers: the devices said off but the member answered afterwards.
	ErrStillAnswers = errors.New("the devices say off, but the member still answers")
	// ErrGradeNotAccepted: the level could only give a proof that the group's policy doesn't accept.
	ErrGradeNotAccepted = errors.New("the policy does not accept its proof")
	errNoDevices        = errors.New("the level has no devices")
)

// stillAnswersHint is what to look at when devices say off and the member answers.
const stillAnswersHint = "Is that the device of another machine? Check its plug or address, and the cable"

// work is what a run does with each device: make it off and prove it, or only look.
type work func(a *agent, ctx context.Context) (detail string, err error)

// run is one try to get a proof for one member.
type run struct {
	fencer  *Fencer
	member  failover.MemberSpec
	policy  failover.Policy
	answers Answers
	work    work
	began   time.Time

	mu    sync.Mutex
	steps []failover.StepTime
}

func (f *Fencer) newRun(member failover.MemberSpec, policy failover.Policy, answers Answers, w work) *run {
	return &run{fencer: f, member: member, policy: policy, answers: answers, work: w, began: time.Now()}
}

// levelResult is how one level came out: a proof, or why there is none.
type levelResult struct {
	number int // from 1
	proof  failover.Proof
	err    error
}

// inOrder tries one level after the other.
func (r *run) inOrder(ctx context.Context) (failover.Proof, []failover.StepTime) {
	var results []levelResult
	for i := range r.member.Fence {
		result := r.level(ctx, i)
		results = append(results, result)
		if result.err == nil || ctx.Err() != nil {
			break
		}
	}
	return r.conclude(results)
}

// race tries all levels at the same time. The first proof ends the others, and is returned only after they have ended.
func (r *run) race(ctx context.Context) (failover.Proof, []failover.StepTime) {
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	finished := make(chan levelResult, len(r.member.Fence))
	for i := range r.member.Fence {
		go func() { finished <- r.level(ctx, i) }()
	}
	var results []levelResult
	for range r.member.Fence {
		result := <-finished
		if result.err == nil {
			end(ErrLostRace)
		}
		results = append(results, result)
	}
	return r.conclude(results)
}

// level works on all devices of a level at the same time.
func (r *run) level(ctx context.Context, index int) levelResult {
	result := levelResult{number: index + 1}
	devices := r.member.Fence[index].Devices
	if len(devices) == 0 {
		result.err = errNoDevices
		return result
	}
	grade := levelGrade(devices)
	if !r.policy.Accepts(grade) {
		result.err = fmt.Errorf("%w: %s", ErrGradeNotAccepted, grade)
		return result
	}
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	details, errs := make([]string, len(devices)), make([]error, len(devices))
	var all sync.WaitGroup
	for i, device := range devices {
		all.Go(func() {
			if details[i], errs[i] = r.device(ctx, device); errs[i] != nil {
				end(ErrLevelFailed)
			}
		})
	}
	all.Wait()
	if err := firstCauses(errs); err != nil {
		result.err = err
		return result
	}
	if result.err = r.silent(ctx, grade); result.err != nil {
		return result
	}
	result.proof = failover.Proof{Grade: grade, By: labels(devices), Detail: details[0]}
	return result
}

// device works on one device and notes how long it took.
func (r *run) device(ctx context.Context, device failover.FenceDevice) (string, error) {
	start := time.Since(r.began)
	name := label(device)
	detail, err := r.fencer.withAgent(ctx, device, func(a *agent, ctx context.Context) (string, error) {
		detail, err := r.work(a, ctx)
		if err == nil { // it was asked all the same, but its word counts only if it says what that means
			err = r.fencer.understand(ctx, device)
		}
		return detail, err
	})
	step := failover.StepTime{Name: name + " " + detail, Start: start, Length: time.Since(r.began) - start}
	if err != nil {
		err = fmt.Errorf("%s: %w", name, err)
		step.Name, step.Detail = name+" gave no proof", err.Error()
	}
	r.note(step)
	return detail, err
}

func (r *run) note(step failover.StepTime) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.steps = append(r.steps, step)
}

// silent checks that the member doesn't answer any more, which would contradict what its devices claim. A few looks are allowed to find it answering, as the last packets and
// sockets of a machine may outlive it by a moment.
func (r *run) silent(ctx context.Context, claimed failover.ProofGrade) error {
	if r.answers == nil {
		return nil
	}
	start := time.Since(r.began)
	answers, detail := true, ""
	for look := 1; answers && look <= answersLooks; look++ {
		if look > 1 && clock.Pause(ctx, answersPause) != nil {
			break
		}
		answers, detail = r.look(ctx, claimed)
	}
	if ctx.Err() != nil { // the look may have seen nothing only because it was broken off
		return fmt.Errorf("see whether the member still answers: %w", context.Cause(ctx))
	}
	name := "member is silent"
	if answers {
		name = "member still answers"
	}
	r.note(failover.StepTime{Name: name, Start: start, Length: time.Since(r.began) - start, Detail: detail})
	if answers {
		return fmt.Errorf("%w: %s. %s", ErrStillAnswers, detail, stillAnswersHint)
	}
	return nil
}

func (r *run) look(ctx context.Context, claimed failover.ProofGrade) (answers bool, detail string) {
	ctx, end := context.WithTimeout(ctx, answersLimit)
	defer end()
	return r.answers(ctx, claimed)
}

// conclude makes the one answer out of the results of the levels.
func (r *run) conclude(results []levelResult) (failover.Proof, []failover.StepTime) {
	slices.SortStableFunc(r.steps, func(a, b failover.StepTime) int { return cmp.Compare(a.Start, b.Start) })
	slices.SortFunc(results, func(a, b levelResult) int { return cmp.Compare(a.number, b.number) })
	var reasons []string
	for _, result := range results {
		if result.err == nil {
			proof := result.proof
			if len(r.member.Fence) > 1 {
				proof.Detail = strings.Join(append([]string{fmt.Sprintf("level %d %s", result.number, proof.Detail)}, reasons...), "; ")
			}
			proof.Detail = fencesettings.OneLine(proof.Detail, detailLimit)
			return proof, r.steps
		}
		reasons = append(reasons, fmt.Sprintf("level %d: %v", result.number, result.err))
	}
	if len(r.member.Fence) == 0 {
		reasons = []string{"member " + string(r.member.Name) + " has no fence"}
	}
	return failover.Proof{Grade: failover.ProofUnknown, Detail: fencesettings.OneLine(strings.Join(reasons, "; "), detailLimit)}, r.steps
}

// firstCauses joins the errors of a level's devices, without those that only say that another one failed.
func firstCauses(errs []error) error {
	return errors.Join(slices.DeleteFunc(slices.Clone(errs), func(err error) bool {
		return err == nil || errors.Is(err, ErrLevelFailed)
	})...)
}

func labels(devices []failover.FenceDevice) string {
	names := make([]string, len(devices))
	for i, device := range devices {
		names[i] = label(device)
	}
	return strings.Join(names, " + ")
}
