package virtual

import (
	"bytes"
	"context"
	"time"

	"github.com/arbiter-ha/arbiter/internal/recording"
)

// tape is the recording of one life of an arbiter, as arbiterd --record makes it, in memory.
type tape struct {
	of       string
	disk     *Disk // only what hangs: bytes are in lines
	lines    bytes.Buffer
	recorder *recording.Recorder
}

// newTape begins the recording of a life. The test replays it at its end.
func (c *Cluster) newTape(of string) *tape {
	t := &tape{of: of, disk: NewDisk(nil)}
	t.recorder = recording.NewRecorder(t, func(err error) { c.History.Note(of, "its recording ends: %v", err) })
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tapes = append(c.tapes, t)
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
	for _, t := range c.tapes {
		c.hangs = append(c.hangs, t.disk.Hang())
	}
}

// writeLimit is how long the end of a recording may take to be written.
const writeLimit = time.Second

// replay gives every recording to a new core, which must answer the same. All arbiters must have ended.
func (c *Cluster) replay() {
	var all recording.Replayed
	for _, t := range c.tapes {
		ctx, done := context.WithTimeout(context.Background(), writeLimit)
		err := t.recorder.Close(ctx)
		done()
		if err != nil {
			c.t.Errorf("the recording of %s: %v", t.of, err)
			continue
		}
		one, err := recording.Replay(&t.lines)
		if err != nil {
			c.t.Errorf("the replay of %s: %v", t.of, err)
		}
		all.Entries, all.Steps, all.Outputs = all.Entries+one.Entries, all.Steps+one.Steps, all.Outputs+one.Outputs
	}
	if all.Entries == 0 || all.Steps == 0 || all.Outputs == 0 {
		c.t.Errorf("the replays compared too little: %+v", all)
	}
}
