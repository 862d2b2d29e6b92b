package postgrestest

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// removeSharedMemory removes the System V segment that a killed server leaves behind: the system allows only some thousands of
// them. The server's other shared memory goes with its processes, or lies in its data folder (dynamic_shared_memory_type = mmap).
func (s *Server) removeSharedMemory() error {
	id, found := s.segment()
	if !found {
		return nil
	}
	var segment unix.SysvShmDesc
	if _, err := unix.SysvShmCtl(id, unix.IPC_STAT, &segment); err != nil {
		return nil // gone
	}
	if segment.Nattch > 0 || int(segment.Perm.Uid) != s.user.uid {
		return nil // in use, or somebody else's by now
	}
	_, err := unix.SysvShmCtl(id, unix.IPC_RMID, nil)
	return err
}

// segment returns the id of the server's System V segment: on the seventh line of the lock file, behind the segment's key. Only
// a server that runs, or was killed, has that file.
func (s *Server) segment() (id int, found bool) {
	content, err := os.ReadFile(filepath.Join(s.Dir, "postmaster.pid"))
	if err != nil {
		return 0, false
	}
	lines := strings.Split(string(content), "\n")
	if len(lines) < 7 {
		return 0, false // killed before it had one
	}
	fields := strings.Fields(lines[6])
	if len(fields) != 2 {
		return 0, false
	}
	id, err = strconv.Atoi(fields[1])
	return id, err == nil
}
