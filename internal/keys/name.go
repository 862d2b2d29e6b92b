package keys

import (
	"fmt"
	"regexp"
)

var namePattern = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9._@-]{0,62}[A-Za-z0-9])?$`)

// NameFault says what is wrong with the name of an arbiter, a person or a context, or nothing. Such names stand in certificates, in tables and on
// command lines.
func NameFault(name string) string {
	if namePattern.MatchString(name) {
		return ""
	}
	if runes := []rune(name); len(runes) > 64 {
		name = string(runes[:64]) + "..."
	}
	return fmt.Sprintf("%q is no name to use here: letters a to z, digits, '-', '_', '.' and '@', up to 64, with a letter or digit at both ends", name)
}
