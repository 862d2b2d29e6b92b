package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/arbiter-ha/arbiter/arbiter"
	"github.com/arbiter-ha/arbiter/internal/secret"
)

// dataLimit is how long the data directory's file system may take to say what is there, and storageLimit to have all of it read.
const (
	dataLimit    = 10 * time.Second
	storageLimit = time.Minute
)

// inTime does something that waits for the data directory's file system, for which a hard mount of a dead server waits for ever. The error is
// secret.ErrNotInTime if that did not answer: what is done then goes on, and ends with the process.
func inTime(data string, limit time.Duration, do func() error) error {
	done := make(chan error, 1)
	go func() { done <- do() }()
	ctx, cancel := secret.Within(context.Background(), limit)
	defer cancel()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return fmt.Errorf("data: look at %s: %w: %w; see what is mounted there (findmnt --target %[1]s) and whether it answers", data, secret.ErrNotInTime, context.Cause(ctx))
	}
}

// checkWritable refuses a data directory in which this user can't make files, or with something in it of the arbiter's that this user can't read
// and write: the arbiter would fail at its first use, and be started again for ever. One that isn't there yet is made in the nearest folder
// above it that is.
func checkWritable(data string) error {
	folder, err := nearest(data)
	if err != nil {
		return err
	}
	err = unix.Access(folder, unix.R_OK|unix.W_OK|unix.X_OK)
	switch {
	case err == nil && folder == data:
		return checkKept(data)
	case err == nil:
		return nil
	case errors.Is(err, unix.EROFS):
		return readOnly(data, folder, err)
	case folder != data:
		return notMade(data, folder, err)
	}
	return notOwned(data, folder, err)
}

// nearest is the data directory or, where it isn't there yet, the folder above it that the first of the missing ones is made in. What is there
// and no folder is refused: nothing can be made below it.
func nearest(data string) (string, error) {
	for folder := data; ; folder = filepath.Dir(folder) {
		info, err := os.Stat(folder)
		switch {
		case err == nil && !info.IsDir():
			return "", fmt.Errorf("data: %s is a file and not a folder; configure a folder as `data`, or move the file away", folder)
		case errors.Is(err, fs.ErrNotExist) && isLink(folder):
			return "", fmt.Errorf("data: %s is a link that leads nowhere; make the folder that it names, or take the link away", folder)
		case errors.Is(err, fs.ErrNotExist), errors.Is(err, unix.ENOTDIR):
			if folder != filepath.Dir(folder) {
				continue
			}
		}
		return folder, nil // whatever else is wrong with it is found by who tries to use it
	}
}

func isLink(path string) bool {
	info, err := os.Lstat(path)
	return err == nil && info.Mode()&fs.ModeSymlink != 0
}

// tryWriting writes a small file beside what an arbiter keeps, or where its folder would be made, and removes it: some file systems take nothing
// although they say that it may be written to, and a full one takes no more. While an arbiter runs there this must be left out: it could take the
// last room on the disk from it.
func tryWriting(data string) error {
	folder, err := nearest(data)
	if err != nil {
		return err
	}
	file, err := os.CreateTemp(folder, ".arbiterd-check-*")
	if err == nil {
		_, err = file.Write(make([]byte, trialSize))
		err = errors.Join(err, file.Sync(), file.Close(), os.Remove(file.Name()))
	}
	switch {
	case errors.Is(err, unix.ENOSPC), errors.Is(err, unix.EDQUOT):
		return fmt.Errorf("data: nothing more can be written to %s: %w; make room there (df -h %[1]s; df -i %[1]s)", folder, err)
	case err != nil && folder != data:
		return notMade(data, folder, err)
	case err != nil:
		return notOwned(data, folder, err)
	}
	return nil
}

// trialSize is some blocks of a file system.
const trialSize = 64 << 10

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

func notMade(data, folder string, err error) error {
	return fmt.Errorf("data: %s isn't there, and in %s nothing can be made: %w; configure another folder as `data`, or make it for the user of the service: install -d -o arbiter -g arbiter -m 700 %[1]s",
		data, folder, err)
}

func notOwned(data, path string, err error) error {
	return fmt.Errorf("data: %s can't be read and written to: %w; give it to the user of the service: chown -R arbiter: %s && chmod -R u+rwX %[3]s", path, err, data)
}

func readOnly(data, path string, err error) error {
	return fmt.Errorf("data: %s can't be written to: %w; mount it so that it can be or, since a unit with ProtectSystem=strict sees all as read-only but what it names, "+
		"name it there: ReadWritePaths=%s (systemctl edit arbiterd)", path, err, data)
}

// checkStorage says whether what is in the data directory can be opened and more be written there, and what root would not notice. What a running
// arbiter uses is in order: it has read it, and writes there.
func checkStorage(data string, notes io.Writer) error {
	err := arbiter.CheckStorage(data)
	if err == nil || errors.Is(err, arbiter.ErrStorageUnused) {
		err = cmp.Or(tryWriting(data), err)
	}
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
