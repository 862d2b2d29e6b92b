package virtual

import (
	"bytes"
	"context"
	"errors"
	"time"

	"github.com/arbiter-ha/arbiter/internal/recording"
)

// tape is the recording of one life of an arbiter, as arbiterd --record makes it, in memory.
type tape struct {
	disk     *Disk // only what hangs: bytes are in lines
	lines    bytes.Buffer
	recorder *recording.Recorder
}

func newTape(failed func(error)) *tape {
	t := &tape{disk: NewDisk(nil)}
	t.recorder = recording.NewRecorder(t, failed)
	return t
}

// Write implements io.Writer.
func (t *tape) Write(lines []byte) (n int, err error) {
	t.disk.write(func() { n, err = t.lines.Write(lines) })
	return n, err
}

// HangRecordings lets whatever takes the recordings of those that live now hang until all faults end.
func (c *Cluster) HangRecordings() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, r := range c.lives {
		c.hangs = append(c.hangs, r.tape.disk.Hang())
	}
}

// replay gives every recording to a new core, which must answer the same. All arbiters must have ended.
func (c *Cluster) replay() {
	var all recording.Replayed
	for _, r := range c.lives {
		one, err := r.tape.replay()
		switch {
		case err != nil:
			c.t.Errorf("the recording of %s: %v", r, err)
		case one.Ending == recording.EndedCut:
			c.t.Errorf("the recording of %s lacks its end", r)
		case one.Ending == recording.EndedEarly:
			c.History.Note(string(r.node), "the recording of %s is compared %s", r, one)
		}
		all.Entries, all.Steps, all.Outputs = all.Entries+one.Entries, all.Steps+one.Steps, all.Outputs+one.Outputs
	}
	if all.Entries == 0 || all.Steps == 0 || all.Outputs == 0 {
		c.t.Errorf("the replays compared too little: %+v", all)
	}
}

// writeLimit is how long the end of a recording may take to be written.
const writeLimit = time.Second

func (t *tape) replay() (recording.Replayed, error) {
	ctx, done := context.WithTimeout(context.Background(), writeLimit)
	defer done()
	if err := t.recorder.Close(ctx); err != nil {
		return recording.Replayed{}, err
	}
	one, err := recording.Replay(&t.lines)
	if errors.Is(err, recording.ErrNothing) { // it was killed too soon
		err = nil
	}
	return one, err
}
