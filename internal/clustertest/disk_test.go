package clustertest

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/arbiter-ha/arbiter/arbiter"
	"github.com/arbiter-ha/arbiter/failover"
	"github.com/arbiter-ha/arbiter/internal/recording"
	arbiterv1 "github.com/arbiter-ha/arbiter/proto/arbiter/v1"
)

// An arbiter whose disk is full ends itself and says what to do; a node that stays up looks well to everybody and counts for
// nothing. The others go on.
func TestFullDisk_EndsTheArbiterThatHasIt(t *testing.T) {
	c := newCluster(t, true)
	folder := filepath.Join(c.folder, "az-a")
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", folder, "tmpfs", 0, "size=4m"); err != nil {
		t.Fatalf("mount a small file system: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(folder, syscall.MNT_DETACH); err != nil { // goes once nobody uses it any more
			t.Error(err)
		}
	})
	c.startAll()
	c.leader()
	c.applyAndAdopt("pay")
	full := c.running["az-a"].ended
	fill(t, filepath.Join(folder, "logs-of-somebody-else"))
	var ended error
	// It holds out as long as there is room in pages that its log had already.
	for deadline := time.Now().Add(patience); ended == nil; {
		select {
		case ended = <-full:
		default:
			if time.Now().After(deadline) {
				t.Fatal("it goes on with a full disk")
			}
			c.writeEntry()
		}
	}
	if !errors.Is(ended, arbiter.ErrHalted) || !errors.Is(ended, arbiter.ErrDiskFull) || !strings.Contains(ended.Error(), "free some space") {
		t.Errorf("ended with %v", ended)
	}
	c.take("az-a").stop()
	c.eventually("the others answer", func(ctx context.Context) bool { return c.status(ctx, "pay") != nil })
}

// writeEntry has one more entry written, of some hundred bytes. Whoever leads may end, or be in between: the next one is asked then.
func (c *cluster) writeEntry() {
	change := c.change(strings.Repeat("a long reason ", 30))
	leader := c.api(c.leader())
	_, err := leader.Pause(c.t.Context(), &arbiterv1.PauseRequest{Change: change, Group: "pay"})
	if status.Code(err) == codes.InvalidArgument {
		c.t.Fatalf("nothing is written by this: %v", err)
	}
	_, _ = leader.Resume(c.t.Context(), &arbiterv1.ResumeRequest{Change: c.change("go on"), Group: "pay"})
}

// fill writes until nothing more fits.
func fill(t *testing.T, path string) {
	t.Helper()
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for err == nil {
		_, err = file.Write(make([]byte, 4096))
	}
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
}

// hungDisk takes nothing until it is freed.
type hungDisk struct {
	asked chan struct{} // has room for all that ask
	free  chan struct{}
}

func (d hungDisk) Write(p []byte) (int, error) {
	d.asked <- struct{}{}
	<-d.free
	return len(p), nil
}

// A recording is for later: where what it is written to hangs, an arbiter leads, fails a group over and ends as it would without one.
func TestRecordingToADiskThatHangs_HoldsNothingUp(t *testing.T) {
	c := newCluster(t, false)
	disk := hungDisk{asked: make(chan struct{}, 100), free: make(chan struct{})}
	c.records = map[failover.NodeID]*recording.Recorder{}
	for _, p := range c.peers {
		c.records[p.Node] = recording.NewRecorder(disk, func(err error) { t.Errorf("the recording of %s ended: %v", p.Node, err) })
	}
	c.startAll()
	c.leader()
	for range c.records {
		<-disk.asked
	}
	c.applyAndAdopt("pay")
	c.world.crash("db1")
	c.awaitFailover("pay")
	c.stop(c.leader())
	over, cancel := context.WithCancel(t.Context())
	cancel()
	for node, r := range c.records {
		if err := r.Close(over); !errors.Is(err, context.Canceled) {
			t.Errorf("the recording of %s was written: %v", node, err)
		}
	}
	close(disk.free)
	for node, r := range c.records {
		if err := r.Close(t.Context()); err != nil {
			t.Errorf("the recording of %s: %v", node, err)
		}
	}
}
