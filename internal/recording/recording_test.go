package recording_test

import (
	"bytes"
	"errors"
	"io"
	"strings"
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
	return file.String()
}

func TestReplay_AnswersWhatWasRecorded(t *testing.T) {
	done, err := recording.Replay(strings.NewReader(lead(t)))
	if err != nil || done.Entries < 3 || done.Steps < 6 || done.Outputs < 2 {
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
	done, err := recording.Replay(strings.NewReader(recorded[:len(recorded)-20]))
	if err != nil || done.Steps == 0 {
		t.Errorf("replayed %+v, %v", done, err)
	}
}

// What holds nothing to compare is not as recorded.
func TestReplay_OfNothingIsNotRight(t *testing.T) {
	var begun bytes.Buffer
	l := begin(t, &begun)
	l.vote()
	l.start()
	for what, recorded := range map[string]string{"an empty file": "", "a life that ended at its start": begun.String(), "a line that was cut": begun.String()[:20]} {
		if _, err := recording.Replay(strings.NewReader(recorded)); !errors.Is(err, recording.ErrNothing) {
			t.Errorf("%s: %v", what, err)
		}
	}
	for what, line := range map[string]string{"an empty line": "{}", "another kind of line": `{"look":{"now":7}}`} {
		_, err := recording.Replay(strings.NewReader(lead(t) + line + "\n"))
		if err == nil || errors.Is(err, recording.ErrDiffers) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestReplay_GoesOnFromASnapshot(t *testing.T) {
	var file, sink bytes.Buffer
	before := begin(t, io.Discard)
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
	told := 0
	r := recording.NewRecorder(fullDisk{}, func(error) { told++ })
	state := failover.NewState()
	for range 3 {
		r.Begin("a", failover.Settings{}, &state, 0)
	}
	if told != 1 {
		t.Errorf("told %d times", told)
	}
}

type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, errors.New("no space left on device") }
