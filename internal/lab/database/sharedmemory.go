package database

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// segmentLine is the line of the lock file, from 0, that holds the key and the id of the server's segment.
const segmentLine = 6

// removeSharedMemory removes the System V segment of a server whose processes are all gone: the system has room for
// some thousands. A host with a network of its own has segments of its own too, which go with it; their ids mean
// something else out here.
func (s *Server) removeSharedMemory() error {
	if s.host.Isolated() {
		return nil
	}
	text, err := os.ReadFile(filepath.Join(s.dir, "postmaster.pid"))
	if err != nil {
		return nil // stopped in good order, or never started
	}
	id, found := segmentOf(string(text))
	if !found {
		return nil
	}
	var segment unix.SysvShmDesc
	if _, err := unix.SysvShmCtl(id, unix.IPC_STAT, &segment); err != nil {
		return nil // gone
	}
	owner := os.Geteuid()
	if s.template.account.credential != nil {
		owner = int(s.template.account.credential.Uid)
	}
	if segment.Nattch > 0 || int(segment.Perm.Uid) != owner {
		return nil // another server's by now
	}
	if _, err := unix.SysvShmCtl(id, unix.IPC_RMID, nil); err != nil {
		return fmt.Errorf("remove shared memory segment %d of %s: %w", id, s.name, err)
	}
	return nil
}

// segmentOf reads the lock file of a server; one that was killed early has no segment yet.
func segmentOf(lockFile string) (id int, found bool) {
	lines := strings.Split(lockFile, "\n")
	if len(lines) <= segmentLine {
		return 0, false
	}
	fields := strings.Fields(lines[segmentLine])
	if len(fields) != 2 {
		return 0, false
	}
	id, err := strconv.Atoi(fields[1])
	return id, err == nil
}
