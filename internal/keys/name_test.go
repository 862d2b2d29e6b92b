package keys

import (
	"strings"
	"testing"
)

func TestNameFault(t *testing.T) {
	for _, name := range []string{"a", "az-a", "Dana.O@example.org", "a_1", strings.Repeat("a", 64)} {
		if why := NameFault(name); why != "" {
			t.Errorf("%s: %s", name, why)
		}
	}
	for _, name := range []string{"", "az-", "-az", "zürich", "two words", "a/b", "a\nb", strings.Repeat("a", 65)} {
		if NameFault(name) == "" {
			t.Errorf("%q is taken", name)
		}
	}
}
