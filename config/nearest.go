package config

import (
	"fmt"
	"slices"

	"github.com/arbiter-ha/arbiter/internal/keys"
)

// unknownKey is the message for a key that doesn't exist, with the nearest one that does.
func unknownKey(key string, known []string) string {
	if near := keys.Nearest(key, known); near != "" {
		return fmt.Sprintf("unknown key %q; did you mean %q?", key, near)
	}
	sorted := slices.Sorted(slices.Values(known))
	return fmt.Sprintf("unknown key %q; the keys here are %s", key, joinWords(sorted))
}
