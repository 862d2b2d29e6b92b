package fenceagent

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"time"

	"github.com/arbiter-ha/arbiter/internal/fencesettings"
	"github.com/arbiter-ha/arbiter/internal/secret"
)

// ErrNoExecutable says that a device's method names no executable on this machine.
var ErrNoExecutable = errors.New("no such fence agent on this machine")

// lookLimit is how long the file system of an executable may take to say whether it is there.
const lookLimit = 2 * time.Second

// Look is what is at a path, as long as its file system answers soon.
func Look(ctx context.Context, files *secret.Reader, path string) (fs.FileInfo, error) {
	ctx, cancel := secret.Within(ctx, lookLimit)
	defer cancel()
	return files.Info(ctx, path)
}

// DefaultDirectories are where administrators and packages put fence agents, for arbiters whose file has no fence_agent_dirs, and for
// arbiterctl. What an administrator put there goes first.
func DefaultDirectories() []string { return []string{"/usr/local/sbin", "/usr/sbin"} }

// Candidates are the paths at which an executable is looked for: a path as it is, a name in the directories, in their order.
func Candidates(method string, directories []string) []string {
	if filepath.IsAbs(method) {
		return []string{method}
	}
	var paths []string
	for _, directory := range directories {
		paths = append(paths, filepath.Join(directory, method))
	}
	return paths
}

// Find looks an executable up at its candidates.
//
// A file system that doesn't answer in time ends it with secret.ErrNotInTime: what is on another one may be another program than the one that
// was meant.
func Find(ctx context.Context, files *secret.Reader, method string, directories []string) (string, error) {
	if !fencesettings.IsExecutableName(method) {
		return "", fmt.Errorf("%w: %q is neither an absolute path nor a name", ErrNoExecutable, method)
	}
	candidates := Candidates(method, directories)
	for _, path := range candidates {
		switch info, err := Look(ctx, files, path); {
		case errors.Is(err, secret.ErrNotInTime):
			return "", err
		case err == nil && info.Mode().IsRegular() && info.Mode().Perm()&0o111 != 0:
			return path, nil
		}
	}
	return "", fmt.Errorf("%w: looked for %s", ErrNoExecutable, strings.Join(candidates, ", "))
}
