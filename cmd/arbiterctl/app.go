package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/term"

	"github.com/arbiter-ha/arbiter/client"
	"github.com/arbiter-ha/arbiter/cmd/arbiterctl/screen"
)

// app is what all commands share: streams, global flags, the connection.
type app struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	environment    func(string) string
	now            func() time.Time

	flags      globalFlags
	connection *client.Client
	lines      *bufio.Reader // of stdin, for confirmations
}

// globalFlags are the flags of every command.
type globalFlags struct {
	context   string
	config    string
	addresses []string
	ca        string
	cert      string
	key       string
	plaintext bool
	timeout   time.Duration
	output    string
	colour    string
}

// close ends the connection, if there was one. Its error is of no use to anybody at that point.
func (a *app) close() {
	if a.connection != nil {
		_ = a.connection.Close()
	}
}

// style says how to draw: colour only where somebody looks at it, unless told otherwise.
func (a *app) style() screen.Style {
	colour := a.flags.colour == "always"
	if a.flags.colour == "auto" {
		colour = isTerminal(a.stdout) && a.environment("NO_COLOR") == "" && a.environment("TERM") != "dumb"
	}
	now := a.now()
	return screen.Style{Colour: colour, Now: now, Zone: now.Location(), Width: terminalWidth(a.stdout)}
}

// isTerminal says whether a stream is a terminal with somebody before it.
func isTerminal(stream any) bool {
	file, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}

// terminalWidth is how wide the terminal is that a stream leads to; 0 if it leads to none, or to one that doesn't say.
func terminalWidth(stream any) int {
	file, ok := stream.(*os.File)
	if !ok {
		return 0
	}
	width, _, err := term.GetSize(int(file.Fd()))
	if err != nil {
		return 0
	}
	return width
}

// print writes a screen.
func (a *app) print(text string) error {
	if _, err := io.WriteString(a.stdout, text); err != nil {
		return fmt.Errorf("write the answer: %w", err)
	}
	return nil
}

// hint writes words that belong to the answer but must not get into a pipe.
func (a *app) hint(format string, args ...any) {
	fmt.Fprintf(a.stderr, format+"\n", args...)
}

// readLine reads one line of what the operator types.
func (a *app) readLine() (string, error) {
	if a.lines == nil {
		a.lines = bufio.NewReader(a.stdin)
	}
	line, err := a.lines.ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", fmt.Errorf("read the answer: %w", err)
	}
	return line, nil
}
