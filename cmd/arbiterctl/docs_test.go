package main

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// undocumented are commands that explain themselves.
var undocumented = []string{"arbiterctl exit-statuses", "arbiterctl help", "arbiterctl version"}

// TestDocsNameEveryCommand holds docs/cli.md to the program: every command is in it, and the exit statuses are those that scripts are
// promised.
func TestDocsNameEveryCommand(t *testing.T) {
	text, err := os.ReadFile("../../docs/cli.md")
	if err != nil {
		t.Fatal(err)
	}
	page := string(text)
	for _, path := range commandPaths(newRoot(&app{environment: func(string) string { return "" }})) {
		if !slices.Contains(undocumented, path) && !strings.HasPrefix(path, "arbiterctl completion ") && !strings.Contains(page, path) {
			t.Errorf("docs/cli.md doesn't mention `%s`", path)
		}
	}
	_, statuses, _ := strings.Cut(exitStatusHelp, "\n\n")
	if !strings.Contains(page, statuses) {
		t.Errorf("docs/cli.md has other exit statuses than the program:\n%s", statuses)
	}
}

// commandPaths are the full names of a command's children, and of theirs.
func commandPaths(parent *cobra.Command) []string {
	var paths []string
	for _, c := range parent.Commands() {
		paths = append(paths, c.CommandPath())
		paths = append(paths, commandPaths(c)...)
	}
	return paths
}

// TestReadmeMakesWhatTheExampleNeeds holds the first ten minutes to the files that they use: every file that a spec or an arbiter's file names on an
// arbiter's machine is made by some step, and so is what its fence agents come with.
func TestReadmeMakesWhatTheExampleNeeds(t *testing.T) {
	read := func(name string) string {
		text, err := os.ReadFile("../../" + name)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	_, steps, found := strings.Cut(read("README.md"), "## Ten minutes to three zones")
	if steps, _, _ = strings.Cut(steps, "\n## "); !found {
		t.Fatal("the README has no ten minutes")
	}
	spec := read("deploy/three-zones/orders-db.yaml")
	paths := regexp.MustCompile(`/etc/arbiter/[a-z]+/([a-z.-]+)`).FindAllStringSubmatch(spec+read("deploy/three-zones/az-a.yaml"), -1)
	if len(paths) < 7 {
		t.Errorf("only %d files are named in the examples", len(paths))
	}
	for _, path := range paths {
		if own := strings.HasPrefix(path[1], "az-a."); !own && !strings.Contains(steps, path[1]) {
			t.Errorf("no step makes %s", path[0])
		}
	}
	for _, needed := range []string{"apt-get install fence-agents ipmitool", "useradd --system arbiter", "/var/lib/arbiter", "deploy/three-zones/haproxy.cfg", "each arbiter's own pair"} {
		if !strings.Contains(steps, needed) {
			t.Errorf("no step has %q", needed)
		}
	}
	if !strings.Contains(spec, "fence_ipmilan") {
		t.Error("the example has other fence agents: does a step still install them?")
	}
}

// TestStandbysAreNamedBeforeTheyAreSynchronous holds the first ten minutes to an order: a primary that is told to wait for a standby which nobody is
// accepts no write any more.
func TestStandbysAreNamedBeforeTheyAreSynchronous(t *testing.T) {
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	last := 0
	for _, step := range []string{"application_name=", "SELECT application_name, state FROM pg_stat_replication", "stops all writes", "set_sync pg-b"} {
		at := strings.Index(string(text), step)
		if at < last {
			t.Errorf("%q stands at %d, what comes before it at %d", step, at, last)
		}
		last = at
	}
}

// TestSynchronousRuleOutlivesEachMember holds the rule of the first ten minutes to one that the loss of any member leaves somebody to satisfy: each of the
// three names both others. The page that explains the rule sets the same one.
func TestSynchronousRuleOutlivesEachMember(t *testing.T) {
	for _, name := range []string{"README.md", "docs/postgres.md"} {
		text, err := os.ReadFile("../../" + name)
		if err != nil {
			t.Fatal(err)
		}
		const rules = `set_sync pg-b pg-c      # on pg-a(?:, the primary)?; on pg-b instead: set_sync pg-a pg-c; on pg-c: set_sync pg-a pg-b`
		for _, needed := range []string{regexp.QuoteMeta(`synchronous_standby_names = 'ANY 1 (\"$1\", \"$2\")'`), rules} {
			if !regexp.MustCompile(needed).Match(text) {
				t.Errorf("%s has no %s", name, needed)
			}
		}
	}
}
