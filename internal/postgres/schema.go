package postgres

import (
	_ "embed"
	"errors"
	"fmt"
	"regexp"
	"strings"
)

//go:embed schema.sql
var schemaSQL string

// ErrRoleName says that a role's name can't be put into the schema.
var ErrRoleName = errors.New("unusable role name")

// roleName leaves out the characters that would end a quotation in the schema. It is a table that never changes.
var roleName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.@-]{0,62}$`)

// Schema returns the SQL that grants role the least privileges which Arbiter needs, and makes its tables; a superuser runs it on the
// primary. It may be run again.
func Schema(role string) (string, error) {
	if !roleName.MatchString(role) {
		return "", fmt.Errorf("%w %q: use up to 63 letters, digits, and _ . @ -, beginning with a letter", ErrRoleName, role)
	}
	return strings.ReplaceAll(schemaSQL, `"arbiter"`, `"`+role+`"`), nil
}
