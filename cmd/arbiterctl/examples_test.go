package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// TestExamplesParse holds every command of the documentation and of the files to deploy to the program, as if it were typed: how
// many arguments it takes, and the values of its flags. TestNamedCommandsExist looks at names alone, also in what programs print.
func TestExamplesParse(t *testing.T) {
	found := 0
	for _, name := range []string{"README.md", "CONTRIBUTING.md", "docs", "deploy"} {
		err := filepath.WalkDir(filepath.Join("..", "..", name), func(path string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() {
				return err
			}
			text, err := os.ReadFile(path)
			for _, line := range examples(string(text), strings.HasSuffix(path, ".md")) {
				found++
				if fault := typed(line); fault != nil {
					t.Errorf("%s: `%s`: %v", path, line, fault)
				}
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if found < 100 {
		t.Errorf("only %d commands were found: how they are written has changed", found)
	}
}

func TestExamplesAreReallyParsed(t *testing.T) {
	page := "Say `arbiterctl statu`, or:\n```\narbiterctl failover orders \\\n  here\nx=$(arbiterctl get a b) | arbiterctl events --after many # a few\n```\n"
	lines := examples(page, true)
	if len(lines) != 4 {
		t.Fatalf("found %q", lines)
	}
	for _, line := range lines {
		if typed(line) == nil {
			t.Errorf("%q is taken for a command", line)
		}
	}
	for _, line := range []string{"arbiterctl show GROUP [OPERATION]", "arbiterctl adopt GROUP [--member M] [--attest M,...]", "arbiterctl get", "arbiterctl"} {
		if err := typed(line); err != nil {
			t.Errorf("%q: %v", line, err)
		}
	}
}

var (
	continuedLine = regexp.MustCompile(`\\\n\s*`)
	// endOfCommand is a pipe, a redirection, a list, a comment, the end of a substitution, of a text, or of the line.
	endOfCommand = regexp.MustCompile("\\s[|>#]| &&|[;)'`\n]")
	// notation is how a page says that something may be left out, stand there again, or be another word.
	notation = regexp.MustCompile(`[\[\]]|,?\.\.\.|\|\S+`)
)

// examples are the commands on a page: of a Markdown page those in code, elsewhere all.
func examples(page string, markdown bool) []string {
	code := []string{page}
	if markdown {
		code = codeText.FindAllString(page, -1)
	}
	var lines []string
	for _, text := range code {
		for _, rest := range strings.Split(continuedLine.ReplaceAllString(text, " "), "arbiterctl ")[1:] {
			if end := endOfCommand.FindStringIndex(rest); end != nil {
				rest = rest[:end[0]]
			}
			lines = append(lines, strings.TrimSpace("arbiterctl "+rest))
		}
	}
	return lines
}

// typed is what the program says to a command before it does anything. A verb that stands alone is how a sentence calls a command.
func typed(line string) error {
	root := newRoot(&app{environment: func(string) string { return "" }})
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	words := shellWords(notation.ReplaceAllString(line, ""))[1:]
	command, rest, err := root.Find(words)
	switch {
	case err != nil:
		return err
	case command == root && len(words) > 0:
		return noVerb(root, words)
	case len(rest) == 0:
		return nil
	}
	if err := command.ParseFlags(rest); err != nil {
		return err
	}
	return command.ValidateArgs(command.Flags().Args())
}

// shellWords splits a line as a shell does, as far as pages need it. N stands for a number.
func shellWords(line string) []string {
	var all []string
	for i, part := range strings.Split(line, `"`) {
		if i%2 == 1 {
			all = append(all, part) // between quotes
			continue
		}
		for _, word := range strings.Fields(part) {
			if word == "N" {
				word = "1"
			}
			all = append(all, word)
		}
	}
	return all
}

// TestHelpParses does the same with the examples of each command's own help.
func TestHelpParses(t *testing.T) {
	found := 0
	var visit func(*cobra.Command)
	visit = func(c *cobra.Command) {
		for _, line := range examples(c.Example+"\n", false) {
			found++
			if fault := typed(line); fault != nil || !strings.HasPrefix(line, c.CommandPath()) && !strings.Contains(c.Example, c.CommandPath()) {
				t.Errorf("help of %s: `%s`: %v", c.CommandPath(), line, fault)
			}
		}
		for _, child := range c.Commands() {
			visit(child)
		}
	}
	visit(newRoot(&app{environment: func(string) string { return "" }}))
	if found < 8 {
		t.Errorf("only %d examples were found", found)
	}
}
