package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"go.etcd.io/bbolt"
	"golang.org/x/sys/unix"

	"github.com/arbiter-ha/arbiter/arbiter"
	"github.com/arbiter-ha/arbiter/internal/hungfs"
)

// logUntil is a log that ends a context once it has a text in it.
type logUntil struct {
	mutex sync.Mutex
	text  bytes.Buffer
	want  string
	found func()
}

func (l *logUntil) Write(p []byte) (int, error) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	n, err := l.text.Write(p)
	if strings.Contains(l.text.String(), l.want) {
		l.found()
	}
	return n, err
}

// ownAddress is a loopback address that no other process of this machine uses, so that all its ports are free.
func ownAddress() string { return fmt.Sprintf("127.77.%d.%d", os.Getpid()>>8&255, os.Getpid()&255) }

// An end that was asked for is an orderly one, also before the other arbiters were there.
func TestAnAskedForEndWhileWaitingForPeersIsNoFailure(t *testing.T) {
	folder := t.TempDir()
	file := filepath.Join(folder, "arbiterd.yaml")
	host := ownAddress()
	text := fmt.Sprintf("node: a\ndata: %s\nraft: {listen: \"%s:7400\"}\ngrpc: {listen: \"%[2]s:7401\"}\narbiters:\n", folder, host)
	for i, node := range []string{"a", "b", "c"} {
		text += fmt.Sprintf("  %s: {raft: \"%s:%d\", grpc: \"%[2]s:%[4]d\"}\n", node, host, 7400+2*i, 7401+2*i)
	}
	if err := os.WriteFile(file, []byte(text+"insecure_plaintext: true\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	log := &logUntil{want: "waiting for an answer of b", found: cancel}
	if status := run(ctx, []string{"--config", file}, log, log); status != 0 {
		t.Errorf("exit status %d:\n%s", status, log.text.String())
	}
	if got := log.text.String(); strings.Contains(got, "rpc error") || !strings.Contains(got, log.want) {
		t.Errorf("the log is\n%s", got)
	}
}

// Of the environment's variables this one counts unless it is taken out: internal/postgres tests that none counts then.
func TestTheEnvironmentNamesNoServiceOfPostgreSQL(t *testing.T) {
	t.Setenv("PGSERVICE", "nonsense")
	var out bytes.Buffer
	if status := run(t.Context(), []string{"--version"}, &out, &out); status != 0 || os.Getenv("PGSERVICE") != "" {
		t.Errorf("exit status %d, %q; PGSERVICE is %q", status, out.String(), os.Getenv("PGSERVICE"))
	}
}

// What a supervisor must not try again ends with another status than what it may.
func TestAWrongCommandLineIsBadInput(t *testing.T) {
	for _, arguments := range [][]string{{"--bogus"}, {"start"}, {"--config"}} {
		var out bytes.Buffer
		if status := run(t.Context(), arguments, &out, &out); status != exitBadInput || out.Len() == 0 {
			t.Errorf("%q: exit status %d, %q", arguments, status, out.String())
		}
	}
}

// A data directory of another cluster than the certificate is found before anything is started, and by --check.
func TestTheDataIsOfAnotherCluster(t *testing.T) {
	for name, refused := range map[string]bool{"lab": false, "another": true} {
		d, _, _, _ := prepared(t, newAuthority(t))
		mark := fmt.Sprintf(`{"format":1,"node":"a","cluster_id":"1","cluster_name":%q,"state":"prepared"}`, name)
		if err := os.WriteFile(filepath.Join(d.file.Data, "cluster.json"), []byte(mark), 0o600); err != nil {
			t.Fatal(err)
		}
		var out, errs strings.Builder
		status := run(t.Context(), []string{"--config", d.path, "--check"}, &out, &errs)
		if !refused && status != 0 {
			t.Errorf("the right cluster: exit status %d: %s", status, errs.String())
		}
		if refused && (status != exitBadInput || !strings.Contains(errs.String(), `of cluster "another"`) || !strings.Contains(errs.String(), `of cluster "lab"`)) {
			t.Errorf("another cluster: exit status %d: %s", status, errs.String())
		}
	}
}

// Editors jump to "file:line:", so nothing may stand before it, on no line.
func TestFaultsOfTheFileStandOneALine(t *testing.T) {
	file := filepath.Join(t.TempDir(), "arbiterd.yaml")
	if err := os.WriteFile(file, []byte("node: az-a\nhttp: {listen: \":80\"}\narbitres: {}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var out, errs strings.Builder
	if status := run(t.Context(), []string{"--config", file, "--check"}, &out, &errs); status != exitBadInput {
		t.Errorf("exit status %d", status)
	}
	lines := strings.Split(strings.TrimSpace(errs.String()), "\n")
	for _, line := range lines[:len(lines)-1] {
		if !strings.HasPrefix(line, file+":") {
			t.Errorf("line %q", line)
		}
	}
	if last := lines[len(lines)-1]; len(lines) < 3 || !strings.HasPrefix(last, "arbiterd: nothing was started") {
		t.Errorf("got %q", lines)
	}
}

// What can't be written to is found before anything is started, with what to do, and is not tried again for ever.
func TestTheDataDirectoryCannotBeWrittenTo(t *testing.T) {
	d, _, _, _ := prepared(t, newAuthority(t))
	if err := checkWritable(filepath.Join(d.file.Data, "new", "folder")); err != nil {
		t.Errorf("one that can be made: %v", err)
	}
	for data, advice := range map[string]string{
		d.file.Data: "chown -R arbiter: " + d.file.Data, "/proc/arbiter/data": "configure another folder as `data`, or make it for the user of the service: install -d -o arbiter -g arbiter -m 700 /proc/arbiter/data",
	} {
		asNobody(t, func() {
			if err := checkWritable(data); err == nil || !strings.Contains(err.Error(), advice) {
				t.Errorf("%s: %v", data, err)
			}
		})
	}
	said := checkAsNobody(t, d.path)
	if want := fmt.Sprintf("%d: ", exitBadInput); !strings.HasPrefix(said, want) || !strings.Contains(said, "can't be read and written to") {
		t.Errorf("it said %q", said)
	}
}

// What is no folder can't be given to anybody, and what is below it can't be made.
func TestTheDataDirectoryIsNoFolder(t *testing.T) {
	folder := t.TempDir()
	file, link := filepath.Join(folder, "file"), filepath.Join(folder, "link")
	if err := errors.Join(os.WriteFile(file, nil, 0o600), os.Symlink(filepath.Join(folder, "gone"), link)); err != nil {
		t.Fatal(err)
	}
	for data, says := range map[string]string{
		file:                          file + " is a file and not a folder",
		filepath.Join(file, "a", "b"): file + " is a file and not a folder",
		filepath.Join(link, "data"):   link + " is a link that leads nowhere",
	} {
		for name, err := range map[string]error{"a start": checkWritable(data), "--check": tryWriting(data)} {
			if err == nil || !strings.Contains(err.Error(), says) || strings.Contains(err.Error(), "chown") {
				t.Errorf("%s with %s: %v", name, data, err)
			}
		}
	}
}

// --check tries what the rights to a folder don't tell: whether anything can be made there, and whether there is room.
func TestCheckTriesToWrite(t *testing.T) {
	full := t.TempDir()
	if err := unix.Mount("tmpfs", full, "tmpfs", 0, "size=64k"); err != nil {
		t.Fatalf("mount a file system, as root: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(full, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	if err := checkStorage(full, io.Discard); err != nil {
		t.Errorf("there is room: %v", err)
	}
	if left, err := os.ReadDir(full); err != nil || len(left) > 0 {
		t.Errorf("it left %v, %v", left, err)
	}
	if err := os.WriteFile(filepath.Join(full, "other"), make([]byte, 1), 0o600); err != nil {
		t.Fatal(err)
	}
	for data, says := range map[string]string{
		full:                         "nothing more can be written to " + full,
		filepath.Join(full, "data"):  "nothing more can be written to " + full,
		"/proc/arbiter-of-this-test": "in /proc nothing can be made",
	} {
		if err := checkStorage(data, io.Discard); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", data, err)
		}
	}
	if left, err := os.ReadDir(full); err != nil || len(left) != 1 {
		t.Errorf("it left %v, %v", left, err)
	}
}

// The last room on a disk is not taken from an arbiter that runs there.
func TestCheckWritesNothingBesideARunningArbiter(t *testing.T) {
	data := t.TempDir()
	storage, err := arbiter.OpenStorage(filepath.Join(data, "raft"), hclog.NewNullLogger())
	if err != nil {
		t.Fatal(err)
	}
	defer storage.Close()
	before, err := os.Stat(data)
	if err != nil {
		t.Fatal(err)
	}
	if err := checkStorage(data, io.Discard); err != nil {
		t.Error(err)
	}
	if after, err := os.Stat(data); err != nil || after.ModTime() != before.ModTime() {
		t.Errorf("something was made in %s: %v", data, err)
	}
}

// refusedForGood tests that a start, and --check, say the same of a data directory, and end so that it is not tried again.
func refusedForGood(t *testing.T, d *daemon, says string) {
	t.Helper()
	for _, arguments := range [][]string{{"--config", d.path}, {"--config", d.path, "--check"}} {
		var out bytes.Buffer
		if status := run(t.Context(), arguments, &out, &out); status != exitBadInput || !strings.Contains(out.String(), says) {
			t.Errorf("%q: exit status %d: %s", arguments, status, out.String())
		}
	}
}

// A log that can't be read back doesn't get better by another start.
func TestACorruptLogIsNotTriedForEver(t *testing.T) {
	d, _, _, _ := prepared(t, newAuthority(t))
	log := filepath.Join(d.file.Data, "raft", "raft.db")
	if err := errors.Join(os.MkdirAll(filepath.Dir(log), 0o700), os.WriteFile(log, bytes.Repeat([]byte("no database "), 4096), 0o600)); err != nil {
		t.Fatal(err)
	}
	refusedForGood(t, d, "data directory is corrupt")
}

// A data directory that lost a part doesn't get it back by another start: --check and the start say the same, and the start makes nothing in its place.
func TestALostPartOfTheDataIsNotTriedForEver(t *testing.T) {
	d, _, _, _ := prepared(t, newAuthority(t))
	mark := `{"format":1,"node":"a","cluster_id":"1","cluster_name":"lab","state":"member"}`
	if err := os.WriteFile(filepath.Join(d.file.Data, "cluster.json"), []byte(mark), 0o600); err != nil {
		t.Fatal(err)
	}
	refusedForGood(t, d, "raft.db is gone, with its votes")
	if _, err := os.Stat(filepath.Join(d.file.Data, "raft")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("it made a log in place of the lost one: %v", err)
	}
}

// A log whose cluster.json is lost is of nobody: it is neither taken over nor made new.
func TestALostMarkIsNotTriedForEver(t *testing.T) {
	d, _, _, _ := prepared(t, newAuthority(t))
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	log := &logUntil{want: "entering leader state", found: cancel}
	if status := run(ctx, []string{"--config", d.path}, log, log); status != 0 {
		t.Fatalf("a first start: exit status %d:\n%s", status, log.text.String())
	}
	if err := os.Remove(filepath.Join(d.file.Data, "cluster.json")); err != nil {
		t.Fatal(err)
	}
	refusedForGood(t, d, "cluster.json is gone")
}

// What a first start leaves that is killed in the middle of making its log is no corrupt one.
func TestCheckAfterAFirstStartThatWasKilled(t *testing.T) {
	d, _, _, _ := prepared(t, newAuthority(t))
	folder := filepath.Join(d.file.Data, "raft")
	if err := os.MkdirAll(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	log, err := bbolt.Open(filepath.Join(folder, "raft.db"), 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if status := run(t.Context(), []string{"--config", d.path, "--check"}, &out, &out); status != 0 || !strings.Contains(out.String(), "nothing is lost, start arbiterd again") {
		t.Errorf("exit status %d: %s", status, out.String())
	}
}

// What a start as root left below the data directory is found by the service's user, and told to root.
func TestWhatIsInTheDataDirectoryBelongsToAnother(t *testing.T) {
	d, _, _, _ := prepared(t, newAuthority(t))
	storage, err := arbiter.OpenStorage(filepath.Join(d.file.Data, "raft"), hclog.NewNullLogger())
	if err != nil {
		t.Fatal(err)
	}
	look := func() (int, string) {
		var out bytes.Buffer
		return run(t.Context(), []string{"--config", d.path, "--check"}, &out, &out), out.String()
	}
	if status, says := look(); status != 0 || !strings.Contains(says, "an arbiterd that runs uses "+d.file.Data) {
		t.Errorf("in use: exit status %d: %s", status, says)
	}
	if err := storage.Close(); err != nil {
		t.Fatal(err)
	}
	if status, says := look(); status != 0 || strings.Contains(says, "note:") {
		t.Errorf("all well: exit status %d: %s", status, says)
	}
	const user = 4711
	if err := os.Chown(d.file.Data, user, user); err != nil {
		t.Fatalf("the tests of this project run as root: %v", err)
	}
	log := filepath.Join(d.file.Data, "raft", "raft.db")
	if status, says := look(); status != 0 || !strings.Contains(says, log+" belongs to user 0") {
		t.Errorf("as root: exit status %d: %s", status, says)
	}
	if err := os.Chmod(d.file.Data, 0o777); err != nil {
		t.Fatal(err)
	}
	asNobody(t, func() {
		if err := checkWritable(d.file.Data); err == nil || !strings.Contains(err.Error(), "chown -R arbiter: "+d.file.Data+" && chmod -R u+rwX "+d.file.Data) {
			t.Errorf("as another: %v", err)
		}
	})
}

// A unit that doesn't name a data directory of one's own makes it read-only, and that is what is said.
func TestTheDataDirectoryIsReadOnly(t *testing.T) {
	folder := t.TempDir()
	if err := unix.Mount("tmpfs", folder, "tmpfs", unix.MS_RDONLY, "size=1m"); err != nil {
		t.Fatalf("mount a file system, as root: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(folder, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	for _, data := range []string{folder, filepath.Join(folder, "data")} {
		if err := checkWritable(data); err == nil || !strings.Contains(err.Error(), "ReadWritePaths="+data) {
			t.Errorf("%s: %v", data, err)
		}
	}
}

// nobody is a user without rights to any file.
const nobody = 65534

// asNobody runs something with the rights to files that a user without any has, on a thread of its own, which ends with it.
func asNobody(t *testing.T, do func()) {
	t.Helper()
	const unchanged = ^uintptr(0)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		runtime.LockOSThread()
		if _, _, failed := unix.RawSyscall(unix.SYS_SETREUID, nobody, unchanged, 0); failed != 0 && os.Getuid() == 0 {
			t.Errorf("become nobody: %v", failed)
			return
		}
		do()
	}()
	<-ended
}

// A start that waited in vain for a file may go better the next time, so it is tried again.
func TestAFileThatHangsAtTheStartIsTriedAgain(t *testing.T) {
	hung := hungfs.Mount(t)
	said, wait := hung.RunSelf(t, "arbiterd.yaml")
	if want := fmt.Sprintf("%d: arbiterd: the arbiter's file: read %s", exitFailed, hung.Folder); !strings.HasPrefix(said, want) || !strings.Contains(said, "it did not answer within 5s") {
		t.Errorf("it said %q", said)
	}
	hung.LetGo()
	if err := wait(); err != nil {
		t.Error(err)
	}
}

// A data directory on a mount that hangs is said to be that, by a start and by --check, and may answer the next time.
func TestADataDirectoryThatHangsIsTriedAgain(t *testing.T) {
	for _, name := range []string{dataToStart, dataToCheck} {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // each waits for as long as a start does
			hung := hungfs.Mount(t)
			said, wait := hung.RunSelf(t, name)
			data := filepath.Join(hung.Folder, name)
			if want := fmt.Sprintf("%d: arbiterd: data: look at %s: ", exitFailed, data); !strings.HasPrefix(said, want) || !strings.Contains(said, "findmnt --target "+data) {
				t.Errorf("it said %q", said)
			}
			hung.LetGo()
			if err := wait(); err != nil {
				t.Error(err)
			}
		})
	}
}

// What a copy of the test binary is for, by the name of the file that it is given: an arbiter's file, or a data directory.
const (
	dataToStart = "data-to-start"
	dataToCheck = "data-to-check"
)

// nobodyVariable makes the test binary check an arbiter's file with the rights to files that a user without any has.
const nobodyVariable = "ARBITERD_TEST_NOBODY"

func TestMain(m *testing.M) {
	arguments := []string{"--config", hungfs.Given()}
	switch filepath.Base(hungfs.Given()) {
	case dataToStart:
		arguments[1] = fileFor(hungfs.Given())
	case dataToCheck:
		arguments = []string{"--config", fileFor(hungfs.Given()), "--check"}
	}
	if path := os.Getenv(nobodyVariable); path != "" {
		arguments = []string{"--config", path, "--check"}
		if err := syscall.Setreuid(nobody, -1); err != nil {
			panic(err)
		}
	}
	if arguments[1] == "" {
		os.Exit(m.Run())
	}
	if made := arguments[1]; hungfs.Given() != "" && made != hungfs.Given() {
		defer os.RemoveAll(filepath.Dir(made))
	}
	var out bytes.Buffer
	status := run(context.Background(), arguments, &out, &out)
	said := strings.Split(strings.TrimSpace(out.String()), "\n")
	fmt.Printf("%d: %s\n", status, said[len(said)-1])
}

// fileFor is an arbiter's file with a data directory.
func fileFor(data string) string {
	folder, err := os.MkdirTemp("", "arbiterd-test-")
	if err != nil {
		panic(err)
	}
	file := filepath.Join(folder, "arbiterd.yaml")
	text := fmt.Sprintf("node: a\ndata: %s\nraft: {listen: \"%s:7400\"}\ngrpc: {listen: \"%[2]s:7401\"}\n", data, ownAddress()) +
		fmt.Sprintf("arbiters:\n  a: {raft: \"%s:7400\", grpc: \"%[1]s:7401\"}\ninsecure_plaintext: true\n", ownAddress())
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		panic(err)
	}
	return file
}

// checkAsNobody says how --check of an arbiter's file ends for a user with no rights to any file.
func checkAsNobody(t *testing.T, path string) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := exec.Command(self)
	c.Env = append(os.Environ(), nobodyVariable+"="+path)
	said, err := c.CombinedOutput()
	if err != nil {
		t.Errorf("check as nobody: %v", err)
	}
	return string(said)
}
