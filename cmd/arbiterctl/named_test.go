package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// mention is one place that tells somebody to run arbiterctl.
type mention struct {
	where string
	words string // what follows the program's name, to the end of the command
}

var (
	// commandText is the program's name and what follows it on the line.
	commandText = regexp.MustCompile("\\barbiterctl +([^`\n;|&)\"]*)")
	// codeText is what a page shows as code: a block, or a span.
	codeText   = regexp.MustCompile("(?s)```.*?```|`[^`\n]+`")
	verbWord   = regexp.MustCompile(`^[a-z][a-z-]+$`)
	flagWord   = regexp.MustCompile(`^(--[a-z][a-z-]*|-[a-z])$`)
	flagEnding = regexp.MustCompile(`[^a-z-].*$`)
	// prose are words that follow the program's name in sentences about it.
	prose = []string{"and", "as", "asks", "is", "mean"}
)

// TestNamedCommandsExist holds every text that names a command of this program to it, in the documentation and in whatever the
// programs print: an error at night that advises a command which doesn't exist is worse than none.
func TestNamedCommandsExist(t *testing.T) {
	root := newRoot(&app{environment: func(string) string { return "" }})
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	all := mentions(t, filepath.Join("..", ".."))
	if len(all) < 100 {
		t.Errorf("only %d mentions were found", len(all))
	}
	for _, m := range all {
		if wrong := wrongWord(root, strings.Fields(m.words)); wrong != "" {
			t.Errorf("%s: `arbiterctl %s`: there is no %s", m.where, strings.TrimSpace(m.words), wrong)
		}
	}
}

func TestWrongWord(t *testing.T) {
	root := newRoot(&app{environment: func(string) string { return "" }})
	for words, want := range map[string]string{
		"status": "", "epoch GROUP --all": "", "pki issue --role operator": "", "release g --accept-loss %d --reason": "", "get GROUP -o json": "",
		"status --check.": "", "members replace az-a": "members", "status --every": "--every", "show %s, or arbiterctl events %s --follow": "", "pki issue -x": "-x",
	} {
		if got := wrongWord(root, strings.Fields(words)); got != want {
			t.Errorf("%q: %q is wrong, want %q", words, got, want)
		}
	}
}

// wrongWord follows the words of a command as far as they name verbs, and returns the first verb or flag that doesn't exist.
func wrongWord(root *cobra.Command, words []string) string {
	command, verbs := root, true
	if len(words) > 0 && slices.Contains(prose, flagEnding.ReplaceAllString(words[0], "")) {
		return ""
	}
	for _, word := range words {
		bare := flagEnding.ReplaceAllString(word, "")
		switch {
		case word == "arbiterctl": // the next command of the same line
			command, verbs = root, true
		case flagWord.MatchString(bare):
			if !hasFlag(command, bare) {
				return bare
			}
		case verbs && verbWord.MatchString(bare):
			next, _, err := command.Find([]string{bare})
			if command == root && (err != nil || next == root) {
				return bare
			}
			if verbs = err == nil && next != command; verbs {
				command = next
			}
		default:
			verbs = false
		}
	}
	return ""
}

func hasFlag(c *cobra.Command, word string) bool {
	name := strings.TrimLeft(word, "-")
	if name == "help" || name == "h" {
		return true
	}
	c.InheritedFlags() // adds those of its parents
	if strings.HasPrefix(word, "--") {
		return c.Flags().Lookup(name) != nil
	}
	return c.Flags().ShorthandLookup(name) != nil
}

// mentions finds them in the code of every page, and in every text in the programs.
func mentions(t *testing.T, repository string) []mention {
	t.Helper()
	var all []mention
	err := filepath.WalkDir(repository, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && (entry.Name() == ".git" || entry.Name() == "testdata" || entry.Name() == "bin"):
			return fs.SkipDir
		case strings.HasSuffix(path, ".md"):
			text, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			for _, code := range codeText.FindAllString(string(text), -1) {
				all = append(all, mentionsIn(path, code)...)
			}
		case strings.HasSuffix(path, ".go") && !strings.HasSuffix(path, "_test.go") && !strings.HasSuffix(path, ".pb.go"):
			found, err := mentionsInStrings(path)
			if err != nil {
				return err
			}
			all = append(all, found...)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func mentionsIn(where, text string) []mention {
	var all []mention
	for _, found := range commandText.FindAllStringSubmatch(text, -1) {
		all = append(all, mention{where: where, words: found[1]})
	}
	return all
}

// mentionsInStrings looks only at what a program may print, not at comments.
func mentionsInStrings(path string) ([]mention, error) {
	set := token.NewFileSet()
	file, err := parser.ParseFile(set, path, nil, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	var all []mention
	ast.Inspect(file, func(node ast.Node) bool {
		literal, ok := node.(*ast.BasicLit)
		if !ok || literal.Kind != token.STRING {
			return true
		}
		if text, err := strconv.Unquote(literal.Value); err == nil {
			all = append(all, mentionsIn(set.Position(literal.Pos()).String(), text)...)
		}
		return true
	})
	return all, nil
}
