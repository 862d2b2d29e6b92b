// Package disk makes disks of a laboratory that fail on demand: file systems of their own, which hang as a failing disk
// does, or are full.
//
// A disk is a file that is mounted as an ext4 file system; that takes root, and a kernel with loop devices. One that was
// made below the directory of a site is unmounted with it, also by Sweep.
//
// Goroutines: none.
package disk

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// The requests of ioctl that freeze and thaw a file system (linux/fs.h).
const (
	requestFreeze = 0xC0045877
	requestThaw   = 0xC0045878
)

// ErrNeedsRoot says that only root can make disks.
var ErrNeedsRoot = errors.New("a disk that hangs is made by freezing a file system of its own: run as root")

// Disk is one disk.
type Disk struct{ folder string }

// New makes a disk of so many bytes in a directory that exists; what is not written to takes no room.
func New(ctx context.Context, dir string, size int64) (*Disk, error) {
	if os.Geteuid() != 0 {
		return nil, ErrNeedsRoot
	}
	image, folder := filepath.Join(dir, "image"), filepath.Join(dir, "mounted")
	if err := errors.Join(os.Mkdir(folder, 0o755), os.WriteFile(image, nil, 0o600), os.Truncate(image, size)); err != nil {
		return nil, fmt.Errorf("make a disk: %w", err)
	}
	for _, command := range [][]string{{"mkfs.ext4", "-q", "-F", image}, {"mount", "-o", "loop", image, folder}} {
		if out, err := exec.CommandContext(ctx, command[0], command[1:]...).CombinedOutput(); err != nil {
			return nil, fmt.Errorf("make a disk: %s: %w: %s", strings.Join(command, " "), err, out)
		}
	}
	return &Disk{folder: folder}, nil
}

// Folder is where it is mounted.
func (d *Disk) Folder() string { return d.folder }

// Freeze makes it hang: whoever writes to it waits in the kernel, and can't even be killed.
func (d *Disk) Freeze() error {
	if err := request(d.folder, requestFreeze); err != nil {
		return fmt.Errorf("freeze %s: %w", d.folder, err)
	}
	return nil
}

// Thaw ends that, and is harmless when it does not hang.
func (d *Disk) Thaw() error { return Thaw(d.folder) }

// Thaw lets go of whatever hangs on a file system, known by a folder in it.
func Thaw(folder string) error {
	if err := request(folder, requestThaw); err != nil && !errors.Is(err, unix.EINVAL) {
		return fmt.Errorf("thaw %s: %w", folder, err)
	}
	return nil
}

func request(folder string, what uint) error {
	file, err := os.Open(folder)
	if err != nil {
		return err
	}
	defer file.Close()
	_, err = unix.IoctlRetInt(int(file.Fd()), what)
	return err
}

func (d *Disk) ballast() string { return filepath.Join(d.folder, "ballast") }

// Fill takes all room that is left to an ordinary user.
func (d *Disk) Fill() error {
	file, err := os.Create(d.ballast())
	if err != nil {
		return fmt.Errorf("fill %s: %w", d.folder, err)
	}
	defer file.Close()
	var have unix.Statfs_t
	var taken int64
	for {
		if err := unix.Fstatfs(int(file.Fd()), &have); err != nil {
			return fmt.Errorf("fill %s: %w", d.folder, err)
		}
		room := int64(have.Bavail) * have.Bsize
		if room < have.Bsize {
			return nil
		}
		// What the file system needs for itself may make it refuse so much at once.
		for err = unix.ENOSPC; errors.Is(err, unix.ENOSPC) && room >= have.Bsize; room /= 2 {
			if err = unix.Fallocate(int(file.Fd()), 0, taken, room); err == nil {
				taken += room
			}
		}
		if errors.Is(err, unix.ENOSPC) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("fill %s: %w", d.folder, err)
		}
	}
}

// Empty gives back what Fill took, and is harmless when there is nothing.
func (d *Disk) Empty() error {
	if err := os.Remove(d.ballast()); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("empty %s: %w", d.folder, err)
	}
	return nil
}

// Close unmounts it. What was killed on it may need a moment to go, so the kernel does the rest later.
func (d *Disk) Close() error {
	return errors.Join(d.Thaw(), Detach(d.folder))
}

// Detach unmounts what is mounted on a folder as soon as nobody uses it any more.
func Detach(folder string) error {
	if err := unix.Unmount(folder, unix.MNT_DETACH); err != nil {
		return fmt.Errorf("unmount %s: %w", folder, err)
	}
	return nil
}

// Below lists the folders below dir on which something is mounted, the innermost first.
func Below(dir string) ([]string, error) {
	text, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, fmt.Errorf("list mounted disks: %w", err)
	}
	var found []string
	for line := range strings.Lines(string(text)) {
		// "36 35 98:0 / /mount/point rw ..."
		if fields := strings.Fields(line); len(fields) > 4 && strings.HasPrefix(fields[4], dir+"/") {
			found = append([]string{fields[4]}, found...)
		}
	}
	return found, nil
}
