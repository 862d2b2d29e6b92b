package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/arbiter-ha/arbiter/arbiter"
)

// checkWritable refuses a data directory in which this user can't make files, or with something in it of the arbiter's that this user can't read
// and write: the arbiter would fail at its first use, and be started again for ever. One that isn't there yet is made in the nearest folder
// above it that is.
func checkWritable(data string) error {
	for folder := data; ; folder = filepath.Dir(folder) {
		err := unix.Access(folder, unix.R_OK|unix.W_OK|unix.X_OK)
		switch {
		case err == nil && folder == data:
			return checkKept(data)
		case err == nil:
			return nil
		case errors.Is(err, fs.ErrNotExist) && folder != filepath.Dir(folder):
			continue
		case errors.Is(err, unix.EROFS):
			return readOnly(data, folder, err)
		case folder != data:
			return fmt.Errorf("data: %s isn't there, and in %s nothing can be made: %w; make it for the user of the service: install -d -o arbiter -g arbiter -m 700 %s", data, folder, err, data)
		}
		return notOwned(data, folder, err)
	}
}

// checkKept looks at all that an arbiter has in its data directory.
func checkKept(data string) error {
	return eachKept(data, func(path string, entry fs.DirEntry) error {
		mode := uint32(unix.R_OK | unix.W_OK)
		if entry.IsDir() {
			mode |= unix.X_OK
		}
		switch err := unix.Access(path, mode); {
		case errors.Is(err, unix.EROFS):
			return readOnly(data, path, err)
		case err != nil && !errors.Is(err, fs.ErrNotExist): // a running arbiter removes old snapshots
			return notOwned(data, path, err)
		}
		return nil
	})
}

// eachKept calls for each file and folder that an arbiter keeps, before what is in it.
func eachKept(data string, each func(path string, entry fs.DirEntry) error) error {
	for _, kept := range arbiter.Kept(data) {
		err := filepath.WalkDir(kept, func(path string, entry fs.DirEntry, err error) error {
			switch {
			case errors.Is(err, fs.ErrNotExist):
				return nil
			case err != nil:
				return fmt.Errorf("data: look at %s: %w", path, err)
			}
			return each(path, entry)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func notOwned(data, path string, err error) error {
	return fmt.Errorf("data: %s can't be read and written to: %w; give it to the user of the service: chown -R arbiter: %s && chmod -R u+rwX %[3]s", path, err, data)
}

func readOnly(data, path string, err error) error {
	return fmt.Errorf("data: %s can't be written to: %w; mount it so that it can be or, since a unit with ProtectSystem=strict sees all as read-only but what it names, "+
		"name it there: ReadWritePaths=%s (systemctl edit arbiterd)", path, err, data)
}

// checkStorage says whether what is in the data directory can be opened, and what root would not notice. What a running arbiter uses is in order:
// it has read it.
func checkStorage(data string, notes io.Writer) error {
	err := arbiter.CheckStorage(data)
	switch {
	case errors.Is(err, arbiter.ErrStorageLocked):
		fmt.Fprintf(notes, "note: an arbiterd that runs uses %s: its log was not read here\n", data)
		err = nil
	case errors.Is(err, arbiter.ErrStorageUnused):
		fmt.Fprintf(notes, "note: a first start in %s ended before anything was written to its log: nothing is lost, start arbiterd again\n", data)
		err = nil
	}
	if err != nil || os.Geteuid() != 0 {
		return err
	}
	return noteOwners(data, notes)
}

// noteOwners tells root of files that belong to somebody else than their data directory: often they were left by a start as root.
func noteOwners(data string, notes io.Writer) error {
	var folder unix.Stat_t
	if err := unix.Stat(data, &folder); errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return fmt.Errorf("data: look at %s: %w", data, err)
	}
	return eachKept(data, func(path string, _ fs.DirEntry) error {
		var file unix.Stat_t
		if err := unix.Stat(path, &file); err != nil {
			return nil // it has just gone
		}
		if file.Uid != folder.Uid {
			fmt.Fprintf(notes, "note: %s belongs to user %d, and %s to user %d: if that is the user of the service, chown -R %[4]d: %[3]s\n", path, file.Uid, data, folder.Uid)
		}
		return nil
	})
}
