package main

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// checkWritable refuses a data directory in which this user can't make files: the arbiter would fail at its first write, and be started again
// for ever. One that isn't there yet is made in the nearest folder above it that is.
func checkWritable(data string) error {
	for folder := data; ; folder = filepath.Dir(folder) {
		err := unix.Access(folder, unix.R_OK|unix.W_OK|unix.X_OK)
		switch {
		case err == nil:
			return nil
		case errors.Is(err, fs.ErrNotExist) && folder != filepath.Dir(folder):
			continue
		case folder != data:
			return fmt.Errorf("data: %s isn't there, and in %s nothing can be made: %w; make it for the user of the service: install -d -o arbiter -g arbiter -m 700 %s", data, folder, err, data)
		}
		return fmt.Errorf("data: %s can't be written to: %w; give it to the user of the service: chown -R arbiter: %s", data, err, data)
	}
}
