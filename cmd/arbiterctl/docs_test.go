package main

import (
	"os"
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
