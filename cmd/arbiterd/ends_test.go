package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/arbiter-ha/arbiter/arbiter"
	"github.com/arbiter-ha/arbiter/client"
	"github.com/arbiter-ha/arbiter/config"
	arbiterv1 "github.com/arbiter-ha/arbiter/proto/arbiter/v1"
)

// What another start can't mend is not tried for ever. What is mended elsewhere, at another arbiter or by who fills the disk, is tried again.
func TestExitStatuses(t *testing.T) {
	for _, test := range []struct {
		err  error
		want int
	}{
		{arbiter.ErrOtherClusterID, exitBadInput},
		{arbiter.ErrPeerOfOtherCluster, exitFailed},
		{arbiter.ErrClusterExists, exitBadInput},
		{arbiter.ErrStorageCorrupt, exitBadInput},
		{arbiter.ErrBadMark, exitBadInput},
		{fmt.Errorf("%w: %w", arbiter.ErrBadMark, arbiter.ErrListsDiffer), exitBadInput}, // prepared with another list
		{arbiter.ErrListsDiffer, exitFailed},
		{arbiter.ErrNotTrusted, exitFailed},
		{arbiter.ErrWrongPeer, exitFailed},
		{arbiter.ErrDiskFull, exitFailed},
		{fmt.Errorf("%w: %w", arbiter.ErrHalted, arbiter.ErrDiskFull), exitFailed},
		{errors.New("anything else"), exitFailed},
	} {
		if got := exitStatus(fmt.Errorf("start: %w", test.err)); got != test.want {
			t.Errorf("%v ends with %d, want %d", test.err, got, test.want)
		}
	}
}

// TestAFullDiskEndsItWithOneSentence runs an arbiter on a disk of a few megabytes, which somebody else fills.
func TestAFullDiskEndsItWithOneSentence(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("TestAFullDiskEndsItWithOneSentence mounts a small file system, which needs root")
	}
	data := t.TempDir()
	if err := syscall.Mount("tmpfs", data, "tmpfs", 0, "size=4m"); err != nil {
		t.Fatalf("mount a small file system: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(data, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	file := fileFor(data)
	t.Cleanup(func() { _ = os.RemoveAll(filepath.Dir(file)) })
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	out := &logUntil{want: "\narbiterd: ", found: func() {}} // which is an error that ends it, and stands in no log line
	ended := make(chan int, 1)
	go func() { ended <- run(ctx, []string{"--config", file}, out, out) }()
	api := writing(ctx, t)
	fillDisk(t, filepath.Join(data, "logs-of-somebody-else"))
	status, full := 0, false
	for !full { // it holds out as long as there is room in pages that its log had already
		select {
		case status = <-ended:
			full = true
		default:
			writeSomething(ctx, api)
		}
	}
	said := lastWords(out)
	if status != exitFailed || strings.Count(said, "arbiterd: ") != 1 || !strings.Contains(said, data) || !strings.Contains(said, "disk is full: free some space and start again") {
		t.Errorf("it ended with %d, and said %q", status, said)
	}
}

// writing waits for the arbiter to lead, and gives it a group to write about.
func writing(ctx context.Context, t *testing.T) *client.Client {
	t.Helper()
	api, err := client.New(client.Options{Addresses: []string{ownAddress() + ":7401"}, InsecurePlaintext: true, Timeout: 20 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = api.Close() })
	page, err := os.ReadFile(filepath.Join("..", "..", "config", "testdata", "one-page.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	spec, _, err := config.ParseGroup("one-page.yaml", page)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := api.ApplyGroup(ctx, &arbiterv1.ApplyGroupRequest{Spec: spec}); err != nil {
		t.Fatal(err)
	}
	return api
}

// writeSomething has two entries written. Whether they are is not asked: the arbiter may end meanwhile.
func writeSomething(ctx context.Context, api *client.Client) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	reason := &arbiterv1.Change{Reason: strings.Repeat("a long reason ", 30)}
	_, _ = api.Pause(ctx, &arbiterv1.PauseRequest{Change: reason, Group: "orders-db"})
	_, _ = api.Resume(ctx, &arbiterv1.ResumeRequest{Change: &arbiterv1.Change{}, Group: "orders-db"})
}

// fillDisk writes until nothing more fits.
func fillDisk(t *testing.T, path string) {
	t.Helper()
	file, err := os.Create(path)
	for chunk := make([]byte, 4096); err == nil; {
		_, err = file.Write(chunk)
	}
	if full := errors.Join(err, file.Close()); !errors.Is(full, syscall.ENOSPC) {
		t.Fatalf("fill the disk: %v", full)
	}
}

// lastWords are what the process said that is no line of its log.
func lastWords(out *logUntil) string {
	out.mutex.Lock()
	defer out.mutex.Unlock()
	text := out.text.String()
	return text[max(0, strings.LastIndex(text, "\narbiterd: ")+1):]
}
