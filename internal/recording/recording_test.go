package recording_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/raft"

	"github.com/arbiter-ha/arbiter/failover"
	"github.com/arbiter-ha/arbiter/fsm"
	"github.com/arbiter-ha/arbiter/internal/recording"
)

// life is an arbiter alone: its log gives what it proposes at once.
type life struct {
	t          *testing.T
	recorder   *recording.Recorder
	inner      *fsm.FSM
	machine    raft.ConfigurationStore
	controller *failover.Controller
	now        time.Duration
	index      uint64
}

func begin(t *testing.T, to io.Writer) *life {
	l := &life{t: t, now: time.Hour, recorder: recording.NewRecorder(to, func(err error) { t.Error(err) })}
	l.inner = fsm.New(fsm.Hooks{Halt: func(err error) { t.Error(err) }})
	l.machine = l.recorder.Around(l.inner)
	return l
}

func (l *life) start() {
	settings := failover.DefaultSettings("cluster")
	l.controller = failover.NewController("a", settings, l.inner.State(), l.now)
	l.recorder.Begin("a", settings, l.inner.State(), l.now)
}

func (l *life) give(what any) {
	l.now += 10 * time.Millisecond
	in := failover.Input{Now: l.now, Wall: failover.WallTime(l.now), What: what}
	outputs := l.controller.Step(in)
	l.recorder.Step(in, outputs)
	for _, o := range outputs {
		if p, ok := o.(failover.Propose); ok {
			l.commit(p.Body)
			l.give(failover.Applied{State: l.inner.State()})
			l.give(failover.ProposalEnded{ID: p.ID})
		}
	}
}

func (l *life) commit(body failover.Body) {
	data, err := fsm.Encode(body, failover.WallTime(l.now), "a")
	if err != nil {
		l.t.Fatal(err)
	}
	l.index++
	if _, ok := l.machine.Apply(&raft.Log{Index: l.index, Term: 3, Data: data}).(*fsm.Response); !ok {
		l.t.Fatal("the entry was not applied")
	}
}

func (l *life) vote() {
	l.index++
	l.machine.StoreConfiguration(l.index, raft.Configuration{Servers: []raft.Server{{ID: "a", Suffrage: raft.Voter}}})
}

// lead records a life that leads, is asked for something, and hands over.
func lead(t *testing.T) string {
	var file bytes.Buffer
	l := begin(t, &file)
	l.vote()
	l.start()
	l.give(failover.Elected{Term: 3})
	l.commit(failover.Pause{Request: failover.Request{ID: "1", Actor: "dana"}, Group: "none"})
	l.give(failover.Applied{State: l.inner.State()})
	l.give(failover.Drain{Why: "it was asked to"})
	l.give(failover.Deposed{})
	closeRecorder(t, l.recorder)
	return file.String()
}

func TestReplay_AnswersWhatWasRecorded(t *testing.T) {
	done, err := recording.Replay(strings.NewReader(lead(t)))
	if err != nil || done.Entries < 3 || done.Steps < 6 || done.Outputs < 2 || done.Ending != recording.EndedInOrder {
		t.Fatalf("replayed %+v, %v", done, err)
	}
}

func TestReplay_TellsWhatDiffers(t *testing.T) {
	recorded := lead(t)
	for what, change := range map[string][2]string{
		"an output": {`"Why":"it was asked to"`, `"Why":"it was never asked"`},
		"an event":  {`"Kind":"reign-began"`, `"Kind":"reign-ended"`},
		"a time":    {`"now":3600010000000`, `"now":3600010000001`},
	} {
		at := strings.LastIndex(recorded, change[0])
		if at < 0 {
			t.Fatalf("%s: %s is not in the recording", what, change[0])
		}
		_, err := recording.Replay(strings.NewReader(recorded[:at] + change[1] + recorded[at+len(change[0]):]))
		if !errors.Is(err, recording.ErrDiffers) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// The process was killed while it wrote.
func TestReplay_OfACutRecording(t *testing.T) {
	recorded := lead(t)
	for _, less := range []int{20, len(lastLine), len(lastLine) - 3} { // in a line, after one, in the last one
		done, err := recording.Replay(strings.NewReader(recorded[:len(recorded)-less]))
		if err != nil || done.Steps == 0 || done.Ending != recording.EndedCut {
			t.Errorf("replayed %+v, %v without the last %d bytes", done, err, less)
		}
	}
}

// lastLine is that of a life that ended in order.
const lastLine = `{"end":{}}` + "\n"

// What holds nothing to compare is not as recorded.
func TestReplay_OfNothingIsNotRight(t *testing.T) {
	var begun bytes.Buffer
	l := begin(t, &begun)
	l.vote()
	l.start()
	closeRecorder(t, l.recorder)
	for what, recorded := range map[string]string{"an empty file": "", "a life that ended at its start": begun.String(), "a line that was cut": begun.String()[:20]} {
		if _, err := recording.Replay(strings.NewReader(recorded)); !errors.Is(err, recording.ErrNothing) {
			t.Errorf("%s: %v", what, err)
		}
	}
	for what, line := range map[string]string{"an empty line": "{}", "another kind of line": `{"look":{"now":7}}`} {
		_, err := recording.Replay(strings.NewReader(strings.TrimSuffix(lead(t), lastLine) + line + "\n"))
		if err == nil || errors.Is(err, recording.ErrDiffers) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// A line that can't be read is one that could not be written, if nothing but the end follows.
func TestReplay_OfABrokenLine(t *testing.T) {
	lines := strings.SplitAfter(strings.TrimSuffix(lead(t), lastLine), "\n")
	broken := strings.Join(lines[:8], "") + "{\"step\n"
	early := `{"end":{"why":"no space"}}` + "\n"
	done, err := recording.Replay(strings.NewReader(broken + early))
	if err != nil || done.Ending != recording.EndedEarly || done.Why != "no space" {
		t.Errorf("before the end: %+v, %v", done, err)
	}
	for what, more := range map[string]string{"another line": lines[8], "the end and another line": early + lines[8]} {
		if done, err := recording.Replay(strings.NewReader(broken + more)); err == nil || errors.Is(err, recording.ErrNothing) {
			t.Errorf("before %s: %+v", what, done)
		}
	}
}

func TestReplay_GoesOnFromASnapshot(t *testing.T) {
	var file, sink bytes.Buffer
	before := begin(t, io.Discard)
	defer closeRecorder(t, before.recorder)
	before.vote()
	before.commit(failover.BeginReign{Term: 3, Leader: "a", Version: 1, ClusterID: "cluster"})
	taken, err := before.inner.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	if err := taken.Persist(&memorySink{Buffer: &sink}); err != nil {
		t.Fatal(err)
	}
	l := begin(t, &file)
	if err := l.machine.Restore(io.NopCloser(&sink)); err != nil {
		t.Fatal(err)
	}
	l.index = before.index
	l.start()
	l.give(failover.Elected{Term: 4})
	closeRecorder(t, l.recorder)
	if done, err := recording.Replay(&file); err != nil || done.Outputs == 0 {
		t.Errorf("replayed %+v, %v", done, err)
	}
}

type memorySink struct{ *bytes.Buffer }

func (memorySink) ID() string    { return "memory" }
func (memorySink) Cancel() error { return nil }
func (memorySink) Close() error  { return nil }

// Who can't write any more says so once, and nobody waits for it.
func TestRecorder_WritesUntilItCantAndSaysSo(t *testing.T) {
	told := make(chan error, 10)
	r := recording.NewRecorder(fullDisk{}, func(err error) { told <- err })
	state := failover.NewState()
	r.Begin("a", failover.Settings{}, &state, 0)
	if err := <-told; !errors.Is(err, errFull) {
		t.Errorf("told %v", err)
	}
	for range 3 {
		r.Begin("a", failover.Settings{}, &state, 0)
	}
	closeRecorder(t, r)
	if len(told) > 0 {
		t.Errorf("told again: %v", <-told)
	}
}

var errFull = errors.New("no space left on device")

type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, errFull }

// A disk that hangs holds nobody up, and what is kept for it is bounded. What was kept is written when it goes on.
func TestRecorder_OfADiskThatHangsEndsAndHoldsNobodyUp(t *testing.T) {
	disk := &hanging{goOn: make(chan struct{})}
	told := make(chan error, 10)
	r := recording.NewRecorder(disk, func(err error) { told <- err })
	drain := failover.Input{What: failover.Drain{Why: strings.Repeat("x", 1<<20)}}
	given := 0
	for ; len(told) == 0 && given < 100; given++ {
		r.Step(drain, nil)
	}
	if given < 10 || given == 100 {
		t.Errorf("it ended after %d MB", given)
	}
	r.Step(drain, nil)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := r.Close(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("closed: %v", err)
	}
	close(disk.goOn)
	closeRecorder(t, r)
	if lines := bytes.Count(disk.Bytes(), []byte("\n")); lines != given || len(told) != 1 {
		t.Errorf("%d lines of %d were written, told %d times", lines, given, len(told))
	}
	if !bytes.HasSuffix(disk.Bytes(), []byte(`{"end":{"why":"what takes it is slow or hangs"}}`+"\n")) {
		t.Error("it does not say why it ended")
	}
}

// A disk that is full for a time leaves a part of a line, and maybe of the end; what is missing of the end is written when the process ends.
// Wherever the disk becomes full, for the first and the second time, what was whole can be replayed.
func TestRecorder_OfADiskThatHasRoomAgainSaysWhyItEnded(t *testing.T) {
	for room := 1 << 10; room < 1<<10+100; room++ {
		early, _ := recordOn(t, &small{room: room}, 1<<20)
		if done, err := recording.Replay(early); err != nil || done.Steps == 0 || done.Ending != recording.EndedEarly || done.Why != errFull.Error() {
			t.Fatalf("room for %d bytes: replayed %+v, %v", room, done, err)
		}
	}
	for again := range 80 {
		cut, whole := recordOn(t, &small{room: 1 << 10}, again)
		want := recording.EndedCut
		if whole {
			want = recording.EndedEarly
		}
		if done, err := recording.Replay(cut); err != nil || done.Steps == 0 || done.Ending != want {
			t.Fatalf("room for %d bytes more at the end: replayed %+v, %v, want %s", again, done, err, want)
		}
	}
}

// recordOn records a life on a disk until that is full, and ends it when there is so much room again. It says whether the end is whole.
func recordOn(t *testing.T, disk *small, again int) (recorded io.Reader, whole bool) {
	t.Helper()
	recorder, _ := recordUntilFull(t, disk)
	disk.empty(again)
	closeRecorder(t, recorder)
	return bytes.NewReader(disk.written), bytes.HasSuffix(bytes.TrimSpace(disk.written), []byte("}}"))
}

// recordUntilFull gives a life to a recorder until that says that it can't write, and why.
func recordUntilFull(t *testing.T, to io.Writer) (*recording.Recorder, error) {
	t.Helper()
	l := begin(t, io.Discard)
	closeRecorder(t, l.recorder)
	told := make(chan error, 1)
	l.recorder = recording.NewRecorder(to, func(err error) { told <- err })
	l.machine = l.recorder.Around(l.inner)
	l.vote()
	l.start()
	for len(told) == 0 {
		l.give(failover.Tick{})
	}
	return l.recorder, <-told
}

// Who can't write the end of a recording that was whole until then says so.
func TestRecorder_SaysThatTheEndIsMissing(t *testing.T) {
	r := recording.NewRecorder(fullDisk{}, func(err error) { t.Error(err) })
	if err := r.Close(t.Context()); !errors.Is(err, errFull) {
		t.Errorf("closed: %v", err)
	}
}

// small has room for so many bytes.
type small struct {
	mu      sync.Mutex
	room    int
	written []byte
}

func (s *small) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := min(s.room, len(p))
	s.room -= n
	s.written = append(s.written, p[:n]...)
	if n < len(p) {
		return n, errFull
	}
	return n, nil
}

func (s *small) empty(room int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.room = room
}

// hanging hangs until it may go on.
type hanging struct {
	bytes.Buffer
	goOn chan struct{}
}

func (h *hanging) Write(p []byte) (int, error) {
	<-h.goOn
	return h.Buffer.Write(p)
}

func closeRecorder(t *testing.T, r *recording.Recorder) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := r.Close(ctx); err != nil {
		t.Fatal(err)
	}
}
