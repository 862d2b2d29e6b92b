package secret

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/arbiter-ha/arbiter/failover"
	"github.com/arbiter-ha/arbiter/internal/keys"
)

// largest is the most that a file of one secret may hold, in bytes: more is a wrong path rather than a secret.
const largest = 64 << 10

// worldReadable are the permission bits that let everybody on the machine read a file.
const worldReadable = 0o004

var (
	// ErrAmbiguous: a setting has more than one of a value, a file and an environment variable.
	ErrAmbiguous = errors.New("setting has more than one source")
	// ErrEmpty: the file or the environment variable is there but holds nothing.
	ErrEmpty = errors.New("secret is empty")
	// ErrNotSet: the environment variable does not exist in the arbiter's environment.
	ErrNotSet = errors.New("environment variable is not set")
)

// Resolve returns the value of a setting: its literal, the content of its file without one trailing newline, or the
// value of its environment variable. The error names the setting and the source, never the content; it is ErrNotInTime if the context ended
// before a file was read.
func (r *Reader) Resolve(ctx context.Context, s failover.Setting) (string, error) {
	if sources(s) > 1 {
		return "", fmt.Errorf("resolve%s: %w: keep one of a value, a file and an environment variable", named(s), ErrAmbiguous)
	}
	switch {
	case s.File != "":
		value, err := r.readSecret(ctx, s.File)
		if err != nil {
			return "", fmt.Errorf("resolve%s from file %s: %w", named(s), s.File, err)
		}
		return value, nil
	case s.Env != "":
		value, err := readEnv(s.Env)
		if err != nil {
			return "", fmt.Errorf("resolve%s from environment variable %s: %w", named(s), s.Env, err)
		}
		return value, nil
	}
	return s.Value, nil
}

// named is the setting's key in an error; a password stands by itself and has none.
func named(s failover.Setting) string {
	if s.Key == "" {
		return ""
	}
	return fmt.Sprintf(" setting %q", s.Key)
}

func sources(s failover.Setting) int {
	n := 0
	for _, source := range []string{s.Value, s.File, s.Env} {
		if source != "" {
			n++
		}
	}
	return n
}

func (r *Reader) readSecret(ctx context.Context, path string) (string, error) {
	file, err := r.read(ctx, path)
	switch {
	case err != nil:
		return "", err
	case len(file.Content) > largest:
		return "", fmt.Errorf("%w: it has more than %d KiB", ErrTooLarge, largest>>10)
	}
	value := trimNewline(string(file.Content))
	if value == "" {
		return "", ErrEmpty
	}
	return value, nil
}

// trimNewline removes one line end, which editors and shells add, and no other white space: it may belong to the secret.
func trimNewline(s string) string {
	s = strings.TrimSuffix(s, "\n")
	return strings.TrimSuffix(s, "\r")
}

func readEnv(name string) (string, error) {
	value, found := os.LookupEnv(name)
	if !found {
		return "", ErrNotSet
	}
	if value == "" {
		return "", ErrEmpty
	}
	return value, nil
}

// Warning says what is careless about where a setting's value is kept, or nothing.
func (r *Reader) Warning(ctx context.Context, s failover.Setting) string {
	if s.File == "" {
		return ""
	}
	file, err := r.read(ctx, s.File)
	if err != nil || file.Mode.Perm()&worldReadable == 0 {
		return ""
	}
	return fmt.Sprintf("file %s (setting %q) can be read by everybody on this machine (mode %04o): run chmod o= %s",
		s.File, s.Key, file.Mode.Perm(), s.File)
}

// IsSecret says whether a setting's value must never be shown: everything that comes from a file or the environment,
// and literals whose key reads like a secret's, as an older spec may hold them.
func IsSecret(s failover.Setting) bool {
	return s.File != "" || s.Env != "" || keys.HoldSecret(s.Key)
}
