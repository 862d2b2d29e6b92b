package lab

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestEvidenceOutlivesTheLab asks for evidence while the group's arbiters are there and after they were killed.
func TestEvidenceOutlivesTheLab(t *testing.T) {
	l := protected(t, Options{}, Spec{})
	var out strings.Builder
	l.Evidence(&out, Group)
	found := regexp.MustCompile(`logs were kept in (\S+)`).FindStringSubmatch(out.String())
	if found == nil {
		t.Fatalf("no path in\n%s", out.String())
	}
	kept := found[1]
	t.Cleanup(func() { _ = os.RemoveAll(kept) })
	for _, want := range []string{"--- arbiterctl status", "--- arbiterctl show", "--- arbiterctl explain", l.Members[0].Name()} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"az-a/arbiterd.log", "az-b/arbiter.yaml", "pg-a/postgres.log"} {
		if info, err := os.Stat(filepath.Join(kept, name)); err != nil || info.Size() == 0 {
			t.Errorf("%s was not kept: %v", name, err)
		}
	}
}

func TestEvidenceOfALabThatNeverOpened(t *testing.T) {
	var out strings.Builder
	(&Lab{}).Evidence(&out, Group)
	if out.String() != "" {
		t.Errorf("there is nothing to tell, yet: %s", out.String())
	}
}
