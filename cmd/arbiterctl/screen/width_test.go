package screen_test

import (
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/arbiter-ha/arbiter/cmd/arbiterctl/sample"
	"github.com/arbiter-ha/arbiter/cmd/arbiterctl/screen"
)

var colours = regexp.MustCompile("\x1b\\[[0-9;]*m")

// On a terminal of 80 cells nothing is broken by the terminal, but commands, which are to be copied.
func TestScreens_FitATerminal(t *testing.T) {
	s := style()
	s.Width = 80
	painted := s
	painted.Colour = true
	for name, draw := range map[string]func(screen.Style) string{
		"status":    func(s screen.Style) string { return screen.Status(s, sample.Status()) },
		"many":      func(s screen.Style) string { return screen.Status(s, statusOf(troubled()...)) },
		"group":     func(s screen.Style) string { return screen.Group(s, statusOf(sample.Orders())) },
		"arbiters":  func(s screen.Style) string { return screen.Arbiters(s, listDiffers()) },
		"epoch":     func(s screen.Style) string { return screen.Epochs(s, sample.Epochs(), 5) },
		"history":   func(s screen.Style) string { return screen.History(s, operations(lossy()...)) },
		"events":    events,
		"show":      func(s screen.Style) string { return screen.Operation(s, sample.Failover()) },
		"show_held": func(s screen.Style) string { return screen.Operation(s, sample.HeldFailover()) },
		"explain":   func(s screen.Style) string { return screen.Explain(s, sample.Explain()) },
		"check":     func(s screen.Style) string { return screen.Check(s, sample.BlockedCheck()) },
	} {
		t.Run(name, func(t *testing.T) {
			plain := draw(s)
			golden(t, "narrow_"+name, plain)
			for line := range strings.Lines(plain) {
				if line = strings.TrimSuffix(line, "\n"); utf8.RuneCountInString(line) > s.Width && !strings.HasPrefix(strings.TrimSpace(line), "arbiterctl ") {
					t.Errorf("%d cells: %s", utf8.RuneCountInString(line), line)
				}
			}
			if got := colours.ReplaceAllString(draw(painted), ""); trimmed(got) != trimmed(plain) {
				t.Errorf("in colour:\n%s\nwithout:\n%s", got, plain)
			}
			for line := range strings.Lines(draw(painted)) {
				if codes := colours.FindAllString(line, -1); len(codes) > 0 && codes[len(codes)-1] != "\x1b[0m" {
					t.Errorf("a colour goes on beyond %q", line)
				}
			}
		})
	}
}

// trimmed is a text without spaces at the ends of its lines.
func trimmed(words string) string {
	lines := strings.Split(words, "\n")
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], " ")
	}
	return strings.Join(lines, "\n")
}
