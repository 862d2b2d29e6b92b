package hosts

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/arbiter-ha/arbiter/internal/lab/disk"
)

// record says on disk what a site is about to make, so that the next one can remove it if this one can't. Its file
// stays locked for as long as the owner lives; the kernel drops the lock with the owner, however it ends.
type record struct {
	// Owner is the process id, for people; the lock decides.
	Owner int `json:"owner"`
	// ID begins the name of everything that the site makes.
	ID string `json:"id"`
	// Dir is the site's directory.
	Dir string `json:"dir"`
	// Namespaces are the network namespaces, by name.
	Namespaces []string `json:"namespaces,omitempty"`
	// Cgroup is the control group above the hosts' groups.
	Cgroup string `json:"cgroup,omitempty"`
	// Made is when the site was opened.
	Made time.Time `json:"made"`

	file *os.File
	path string
}

// ledgerDir is where this user's records lie. It must belong to the user: what it names is removed.
func ledgerDir() (string, error) {
	dir := "/run/arbiter-lab"
	if os.Geteuid() != 0 {
		dir = filepath.Join(os.TempDir(), "arbiter-lab-"+strconv.Itoa(os.Geteuid()))
	}
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return "", fmt.Errorf("make directory of lab records: %w", err)
	}
	info, err := os.Lstat(dir)
	if err != nil {
		return "", fmt.Errorf("look at directory of lab records: %w", err)
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	if !ok || !info.IsDir() || int(owner.Uid) != os.Geteuid() || info.Mode().Perm() != 0o700 {
		return "", fmt.Errorf("%s must be a directory of this user with mode 0700: remove it and try again", dir)
	}
	return dir, nil
}

// write puts the record on disk, locked before anybody else can see it. It fails with os.ErrExist when the id is
// taken.
func (r *record) write() error {
	err := r.writeOnce()
	if errors.Is(err, os.ErrNotExist) {
		err = r.writeOnce() // another lab ended just now and removed the empty directory
	}
	return err
}

func (r *record) writeOnce() error {
	dir, err := ledgerDir()
	if err != nil {
		return err
	}
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("encode lab record: %w", err)
	}
	file, err := os.CreateTemp(dir, ".new-")
	if err != nil {
		return fmt.Errorf("make lab record: %w", err)
	}
	defer os.Remove(file.Name())
	path := filepath.Join(dir, r.ID+".json")
	err = unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if err == nil {
		_, err = file.Write(text)
	}
	if err == nil {
		err = os.Link(file.Name(), path)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("write lab record: %w", err), file.Close())
	}
	r.file, r.path = file, path
	return nil
}

// forget removes the record once nothing is left that it names, and the directory with the last record.
func (r *record) forget() error {
	err := os.Remove(r.path)
	if errors.Is(err, os.ErrNotExist) {
		err = nil
	}
	_ = os.Remove(filepath.Dir(r.path)) // not empty while other labs are open
	return errors.Join(err, r.file.Close())
}

// Sweep removes what labs of this user left behind whose process is gone, and returns their ids. It never touches a
// lab that is still in use.
func Sweep(ctx context.Context) ([]string, error) {
	dir, err := ledgerDir()
	if err != nil {
		return nil, err
	}
	paths, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil {
		return nil, fmt.Errorf("list lab records: %w", err)
	}
	var swept []string
	var failed error
	for _, path := range paths {
		id, err := sweepOne(ctx, path)
		if id != "" {
			swept = append(swept, id)
		}
		failed = errors.Join(failed, err)
	}
	return swept, failed
}

// sweepOne returns the id of the lab that it removed, or "" when it is in use or gone.
func sweepOne(ctx context.Context, path string) (string, error) {
	file, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("open lab record: %w", err)
	}
	if err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return "", file.Close()
	}
	r := record{file: file, path: path}
	if err := json.NewDecoder(file).Decode(&r); err != nil {
		return "", errors.Join(fmt.Errorf("decode lab record %s (remove it by hand): %w", path, err), file.Close())
	}
	if err := r.remove(ctx); err != nil {
		return "", errors.Join(fmt.Errorf("remove remains of lab %s: %w", r.ID, err), file.Close())
	}
	return r.ID, r.forget()
}

// remove ends every process that the record leads to, then removes groups, namespaces, disks and files.
func (r *record) remove(ctx context.Context) error {
	failed := r.thawDisks()
	failed = errors.Join(failed, r.killAll(ctx))
	if r.Cgroup != "" {
		failed = errors.Join(failed, removeCgroupTree(r.Cgroup))
	}
	for _, name := range r.Namespaces {
		if _, err := os.Stat(namespacePath(name)); err == nil {
			_, err := runInside(ctx, nil, "", "ip", "netns", "del", name)
			failed = errors.Join(failed, err)
		}
	}
	if r.Dir != "" {
		failed = errors.Join(failed, r.detachDisks(), os.RemoveAll(r.Dir))
	}
	return failed
}

// thawDisks lets go of processes that wait for a disk below the directory: they can't even be killed.
func (r *record) thawDisks() error { return r.eachDisk(disk.Thaw) }

// detachDisks unmounts everything below the directory.
func (r *record) detachDisks() error { return r.eachDisk(disk.Detach) }

func (r *record) eachDisk(act func(folder string) error) error {
	folders, err := disk.Below(r.Dir)
	for _, folder := range folders {
		err = errors.Join(err, act(folder))
	}
	return err
}

func (r *record) killAll(ctx context.Context) error {
	jails := []jail{&scan{belongs: inDirectory(r.Dir, r.ID+"/")}}
	for _, name := range r.Namespaces {
		namespace, err := os.Open(namespacePath(name))
		if err != nil {
			continue // never made, or removed before
		}
		defer namespace.Close()
		belongs, err := inNamespace(namespace)
		if err != nil {
			return err
		}
		jails = append(jails, &scan{belongs: belongs})
	}
	if groups, err := filepath.Glob(filepath.Join(r.Cgroup, "*", "cgroup.procs")); r.Cgroup != "" && err == nil {
		for _, procs := range groups {
			jails = append(jails, &cgroup{dir: filepath.Dir(procs)})
		}
	}
	for _, j := range jails {
		if err := (&Host{jail: j}).end(ctx, nil); err != nil {
			return err
		}
	}
	return nil
}

func removeCgroupTree(root string) error {
	children, err := filepath.Glob(filepath.Join(root, "*", "cgroup.procs"))
	if err != nil {
		return fmt.Errorf("list control groups: %w", err)
	}
	var failed error
	for _, procs := range children {
		failed = errors.Join(failed, removeCgroup(filepath.Dir(procs)))
	}
	return errors.Join(failed, removeCgroup(root))
}

func namespacePath(name string) string { return filepath.Join("/run/netns", name) }
