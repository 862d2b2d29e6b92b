package chaos

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/arbiter-ha/arbiter/internal/lab"
	"github.com/arbiter-ha/arbiter/internal/lab/report"
	"github.com/arbiter-ha/arbiter/internal/recording"
	arbiterv1 "github.com/arbiter-ha/arbiter/proto/arbiter/v1"
)

// judge checks all that was noted and sums it up. calm is what was not whole at the end.
func (s *storm) judge(ctx context.Context, boot, ended time.Time, calm error) (*Report, error) {
	r := &Report{
		Kind: "chaos", Minutes: s.options.Length.Minutes(), Seed: s.options.Seed, OutagesMS: []float64{}, Began: s.began,
		WholeAfterMS: report.Milliseconds(time.Since(ended)),
	}
	if calm != nil {
		r.NotWhole = calm.Error()
	}
	moved := bootTime().Sub(boot).Abs()
	r.ClockMovedMS = report.Milliseconds(moved)
	s.countFaults(r)
	if err := s.countOperations(ctx, r); err != nil {
		return nil, err
	}
	var appends []Append
	for _, w := range s.writers {
		appends = append(appends, appendsOf(w, boot)...)
	}
	rows, err := s.lastWord(ctx)
	if err != nil {
		return nil, err
	}
	r.Appends = Count{Tried: len(appends), Acked: countAcked(appends)}
	r.AppendFaults = CheckAppends(appends, rows, clockGrain+moved)
	r.LostAcked = len(r.AppendFaults.Lost)
	r.outages = Outages(appends)
	for _, o := range r.outages {
		r.OutagesMS = append(r.OutagesMS, report.Milliseconds(o.Length()))
	}
	history := s.register.operations
	r.Register = Count{Tried: len(history)}
	for _, o := range history {
		if o.Acked {
			r.Register.Acked++
		}
	}
	r.RegisterVerdict = CheckRegister(history)
	moments, err := s.moments()
	if err != nil {
		return nil, err
	}
	accepted := s.accepted(appends, rows, boot)
	r.reigns = Reigns(moments, accepted)
	r.Doubles = CheckWriters(moments, accepted)
	r.DoubleWritable = len(r.Doubles)
	return r, s.replay(ctx, r)
}

// replay ends the arbiters in order and gives what they recorded to a new core each: whatever they decided in the storm must come out again.
// They are started again for what people may want to ask them.
func (s *storm) replay(ctx context.Context, r *Report) error {
	ctx, cancel := context.WithTimeout(ctx, openPatience)
	defer cancel()
	for _, a := range s.lab.Arbiters {
		folder := a.Recording
		if a.Process().Running() {
			a.Recording = ""
			if err := errors.Join(a.Stop(ctx), a.Start()); err != nil {
				return err
			}
		}
		if err := r.Replay.add(a.Name(), folder, r.killed(a.Name())); err != nil {
			return err
		}
	}
	return nil
}

// killed is how often a fault ended what ran on a host, at most.
func (r *Report) killed(host string) (times int) {
	for _, i := range r.injected {
		if slices.Contains(deadly, i.Kind) && slices.Contains(i.Hosts, host) {
			times++
		}
	}
	return times
}

// add replays all lives of one arbiter. One that was killed while it started may have nothing to compare, but not all of them. No more of
// them than were killed may lack the line that tells their end.
func (r *Replay) add(arbiter, folder string, killed int) error {
	files, err := filepath.Glob(filepath.Join(folder, "*"+recording.Suffix))
	if err != nil {
		return fmt.Errorf("find the recordings of %s in %s: %w", arbiter, folder, err)
	}
	steps, cut := 0, 0
	for _, file := range files {
		done, err := recording.ReplayFile(file)
		if err != nil && !errors.Is(err, recording.ErrNothing) {
			r.Differences = append(r.Differences, fmt.Sprintf("%s: %v", arbiter, err))
		}
		switch done.Ending {
		case recording.EndedCut:
			cut++
		case recording.EndedEarly:
			r.Early = append(r.Early, fmt.Sprintf("%s: %s", arbiter, done.Why))
		}
		steps += done.Steps
		r.Entries += done.Entries
		r.Outputs += done.Outputs
	}
	r.Lives, r.Steps, r.Cut = r.Lives+len(files), r.Steps+steps, r.Cut+cut
	if cut > killed {
		r.Unended = append(r.Unended, fmt.Sprintf("%s: %d of %d recordings, and it was killed %d times", arbiter, cut, len(files), killed))
	}
	if steps == 0 {
		return fmt.Errorf("replay what %s recorded: %d recordings in %s: %w", arbiter, len(files), folder, recording.ErrNothing)
	}
	return nil
}

func countAcked(appends []Append) (acked int) {
	for _, a := range appends {
		if a.Acked {
			acked++
		}
	}
	return acked
}

func (s *storm) countFaults(r *Report) {
	r.ByKind = map[Kind]int{}
	for _, i := range s.injected {
		if i.Skipped != "" {
			r.Skipped++
			continue
		}
		r.Faults++
		r.ByKind[i.Kind]++
		r.injected = append(r.injected, *i)
	}
	for _, repair := range s.repaired {
		r.Repairs++
		if repair.Failed != "" {
			r.RepairsInVain++
		}
	}
	r.Commands = map[string]int{}
	for _, word := range s.words {
		command, _, _ := strings.Cut(word.Command, " ")
		if word.Answer != "" {
			command += " (refused)"
		}
		r.Commands[command]++
	}
	r.ArbitersEnded = s.selfEnded
}

// collect remembers operations: the arbiters keep the newest ones only.
func (s *storm) collect(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, askPatience)
	defer cancel()
	response, err := s.api.ListOperations(ctx, &arbiterv1.ListOperationsRequest{Group: lab.Group, Limit: 1000})
	if err != nil {
		return fmt.Errorf("list operations: %w", err)
	}
	s.note(func() {
		for _, op := range response.GetOperations() {
			s.operations[op.GetId()] = op
		}
	})
	return nil
}

// countOperations counts the operations that moved the group, and those for which nobody had given a reason.
func (s *storm) countOperations(ctx context.Context, r *Report) error {
	if err := s.collect(ctx); err != nil {
		return err
	}
	for _, op := range s.operations {
		line := fmt.Sprintf("%s %s %s by %s: %s", clockOf(op.GetBegan().AsTime()), op.GetKind(), strings.TrimSuffix(op.GetFrom()+" -> "+op.GetTo(), " -> "), op.GetActor(), op.GetResult())
		r.Operations = append(r.Operations, line)
		if op.GetKind() != "failover" || op.GetResult() != "done" {
			continue
		}
		r.Failovers++
		if automatic(op) && !s.blamed(op.GetFrom(), op.GetBegan().AsTime()) {
			r.FalseFailovers++
			r.False = append(r.False, line)
		}
	}
	slices.Sort(r.Operations)
	for _, event := range s.events {
		if event.GetKind() == "reign-began" {
			r.LeaderChanges++
		}
	}
	r.Holds = holdsOf(s.events)
	return nil
}

// afterEffect is how long after its end a fault still counts as the reason of a failover.
const afterEffect = 10 * time.Second

// blamed tells whether a fault or a repair of the member or its host went on at that time, or just before.
func (s *storm) blamed(member string, at time.Time) bool {
	for _, i := range s.injected {
		if i.Skipped == "" && slices.Contains(i.Hosts, member) && i.Began.Before(at) && at.Before(i.Ended.Add(afterEffect)) {
			return true
		}
	}
	for _, r := range s.repaired {
		if r.Host == member && r.Began.Before(at) && at.Before(r.Ended.Add(afterEffect)) {
			return true
		}
	}
	return false
}

// Hold is one time for which an operation was held.
type Hold struct {
	Operation string    `json:"operation"`
	Reason    string    `json:"reason"`
	From      time.Time `json:"from"`
	Until     time.Time `json:"until"`
	// Ended says how: the kind of the event that ended it; empty if none did.
	Ended string `json:"ended"`
}

// holdsOf pairs each hold with the event that ended it.
func holdsOf(events []*arbiterv1.Event) []Hold {
	var holds []Hold
	open := -1
	for _, e := range events {
		if open >= 0 && e.GetOperation() == holds[open].Operation && e.GetStageFrom() == stageHeld && e.GetStageTo() != stageHeld {
			holds[open].Until, holds[open].Ended = e.GetWall().AsTime(), e.GetKind()
			open = -1
		}
		if e.GetKind() == "operation-held" && e.GetStageFrom() != stageHeld {
			holds = append(holds, Hold{Operation: e.GetOperation(), Reason: e.GetText(), From: e.GetWall().AsTime()})
			open = len(holds) - 1
		}
	}
	return holds
}

// lastWord reads every append from the primary, and adds a last read of the register to its history.
func (s *storm) lastWord(ctx context.Context) ([]Row, error) {
	primary := s.lab.Member(s.seen().primary)
	ctx, cancel := context.WithTimeout(ctx, openPatience)
	defer cancel()
	last := Operation{Client: registerClients, Verb: Read, Acked: true, Member: primary.Name(), Call: time.Now()}
	if err := primary.Ask(ctx, []any{&last.Before}, "SELECT value FROM register"); err != nil {
		return nil, err
	}
	last.Return = time.Now()
	s.register.note(last)
	conn, err := primary.Connect(ctx)
	if err != nil {
		return nil, err
	}
	defer conn.Close(ctx)
	found, err := conn.Query(ctx, "SELECT client, number, member, executed, coalesce(pg_xact_commit_timestamp(xmin), executed) FROM appends")
	if err != nil {
		return nil, fmt.Errorf("read appends of %s: %w", primary.Name(), err)
	}
	defer found.Close()
	var rows []Row
	for found.Next() {
		var r Row
		if err := found.Scan(&r.Client, &r.Number, &r.Member, &r.Executed, &r.Committed); err != nil {
			return nil, fmt.Errorf("read appends of %s: %w", primary.Name(), err)
		}
		rows = append(rows, r)
	}
	if err := found.Err(); err != nil {
		return nil, fmt.Errorf("read appends of %s: %w", primary.Name(), err)
	}
	return rows, nil
}

func (s *storm) moments() (all []Moment, err error) {
	for _, m := range s.lab.Members {
		moments, err := MomentsOf(m.Name(), filepath.Join(m.Host().LogDir(), "postgres.log"))
		if err != nil {
			return nil, err
		}
		all = append(all, moments...)
	}
	return all, nil
}

// accepted are all writes that are known to have been accepted, by whoever knows.
func (s *storm) accepted(appends []Append, rows []Row, boot time.Time) (all []Accepted) {
	for _, a := range appends {
		if a.Acked {
			all = append(all, Accepted{Member: a.Member, Executed: a.Began, Ended: a.Ended, By: "acknowledged append"})
		}
	}
	for _, r := range rows {
		all = append(all, Accepted{Member: r.Member, Executed: r.Executed, Ended: r.Executed, By: "append's row"})
	}
	for _, o := range s.register.operations {
		if o.Acked && o.Client < registerClients { // the last read was none of a client's
			all = append(all, Accepted{Member: o.Member, Executed: o.Call, Ended: o.Return, By: "acknowledged " + string(o.Verb)})
		}
	}
	for _, span := range s.truth.Spans() {
		for _, a := range span.Accepts {
			all = append(all, Accepted{Member: a.Member, Executed: boot.Add(a.Executed), Ended: boot.Add(a.Ended), By: "the watch"})
		}
	}
	return all
}
