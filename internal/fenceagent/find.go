package fenceagent

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// ErrNoExecutable says that a device's method names no executable on this machine.
var ErrNoExecutable = errors.New("no such fence agent on this machine")

// DefaultDirectories are where administrators and packages put fence agents, for arbiters whose file has no fence_agent_dirs, and for
// arbiterctl. What an administrator put there goes first.
func DefaultDirectories() []string { return []string{"/usr/local/sbin", "/usr/sbin"} }

// IsExecutableName says whether a method can be looked for: by its absolute path, or by a name without folders.
func IsExecutableName(method string) bool {
	return filepath.IsAbs(method) || method != "" && method == filepath.Base(method) && method != "." && method != ".."
}

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
func Find(method string, directories []string) (string, error) {
	if !IsExecutableName(method) {
		return "", fmt.Errorf("%w: %q is neither an absolute path nor a name", ErrNoExecutable, method)
	}
	candidates := Candidates(method, directories)
	for _, path := range candidates {
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() && info.Mode().Perm()&0o111 != 0 {
			return path, nil
		}
	}
	return "", fmt.Errorf("%w: looked for %s", ErrNoExecutable, strings.Join(candidates, ", "))
}
