package postgres

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/arbiter-ha/arbiter/failover"
)

// ErrLSN says that a text is not a position in the write-ahead log.
var ErrLSN = errors.New("malformed log position")

// ParseLSN reads a position as PostgreSQL prints it: two hexadecimal halves of at most 8 digits, "16/B374D848". The empty
// text is position 0: what a server has not got.
func ParseLSN(text string) (failover.LSN, error) {
	if text == "" {
		return 0, nil
	}
	high, low, found := strings.Cut(text, "/")
	if !found {
		return 0, fmt.Errorf("%w: %q has no slash", ErrLSN, text)
	}
	h, highErr := strconv.ParseUint(high, 16, 32)
	l, lowErr := strconv.ParseUint(low, 16, 32)
	if err := errors.Join(highErr, lowErr); err != nil {
		return 0, fmt.Errorf("%w: %q: %w", ErrLSN, text, err)
	}
	return failover.LSN(h<<32 | l), nil
}
