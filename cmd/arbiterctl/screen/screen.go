// Package screen draws what arbiterctl shows: each screen is a pure function from the API's answer to text, so that tests
// hold every screen as a file. The first line of a screen is the answer to the question that its command asks.
//
// It reads no clock and writes nowhere: the time comes in with [Style], the text goes out as a string.
package screen

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/arbiter-ha/arbiter/config"
	"github.com/arbiter-ha/arbiter/internal/spans"
	arbiterv1 "github.com/arbiter-ha/arbiter/proto/arbiter/v1"
)

// Style is how screens are drawn.
type Style struct {
	// Colour marks what is good and bad with ANSI colours.
	Colour bool
	// Now is the moment to which "since" is told.
	Now time.Time
	// Width is how many cells a line has room for. 0 is any number, as where no terminal is written to: then a row is a line.
	Width int
	// Zone is the time zone that moments are written in.
	Zone *time.Location
}

func (s Style) paint(code, words string) string {
	if !s.Colour || words == "" {
		return words
	}
	return "\x1b[" + code + "m" + words + "\x1b[0m"
}

func (s Style) good(words string) string   { return s.paint("32", words) }
func (s Style) bad(words string) string    { return s.paint("1;31", words) }
func (s Style) warn(words string) string   { return s.paint("33", words) }
func (s Style) dim(words string) string    { return s.paint("2", words) }
func (s Style) strong(words string) string { return s.paint("1", words) }

// moment writes a point in time to the second.
func (s Style) moment(at *timestamppb.Timestamp) string {
	if at == nil {
		return "-"
	}
	return at.AsTime().In(s.zone()).Format("2006-01-02 15:04:05")
}

// day writes the day of a point in time.
func (s Style) day(at *timestamppb.Timestamp) string {
	if at == nil {
		return "-"
	}
	return at.AsTime().In(s.zone()).Format(time.DateOnly)
}

// clock writes a time of day to the millisecond.
func (s Style) clock(at *timestamppb.Timestamp) string {
	if at == nil {
		return "-"
	}
	return at.AsTime().In(s.zone()).Format("15:04:05.000")
}

func (s Style) zone() *time.Location {
	if s.Zone == nil {
		return time.UTC
	}
	return s.Zone
}

// since writes how long ago something was, in its two largest units.
func (s Style) since(at *timestamppb.Timestamp) string {
	if at == nil {
		return "-"
	}
	return spans.Long(max(0, s.Now.Sub(at.AsTime())))
}

func briefProto(d *durationpb.Duration) string { return spans.Brief(d.AsDuration()) }

var amount = regexp.MustCompile(`\b[0-9]+ bytes?\b`)

// InUnits writes amounts of data in the words of arbiters as people say them: "71345678 bytes" is "72 MB". What is to be typed back has no
// such words and stays exact.
func InUnits(words string) string {
	return amount.ReplaceAllStringFunc(words, func(written string) string {
		number, _, _ := strings.Cut(written, " ")
		size, err := strconv.ParseUint(number, 10, 64)
		if err != nil {
			return written
		}
		return config.FormatBytes(size)
	})
}

// spaced writes the name of a stage or a step as words.
func spaced(name string) string { return strings.ReplaceAll(name, "_", " ") }

// page collects the lines of a screen.
type page struct {
	strings.Builder
	width int // as in Style
}

func (s Style) page() *page { return &page{width: s.Width} }

func (p *page) line(format string, args ...any) {
	words := InUnits(fmt.Sprintf(format, args...))
	p.raw(fold(words, p.width, len(words)-len(strings.TrimLeft(words, " "))+hanging))
}

func (p *page) lines(lines []string, indent string) {
	for _, l := range lines {
		p.line("%s%s", indent, l)
	}
}

// labelled writes texts under a label that stands only before the first: "  next: a", "        b".
func (p *page) labelled(indent, label string, texts []string) {
	lead := indent + label + " "
	for _, words := range texts {
		for _, l := range strings.Split(strings.TrimRight(words, "\n"), "\n") {
			p.raw(fold(InUnits(lead+l), p.width, visible(lead)))
			lead = strings.Repeat(" ", visible(lead))
		}
	}
}

// noLeader is the answer to most questions while it lasts.
const noLeader = "No arbiter leads: nothing is fenced and nothing is promoted"

// staleLine says that an answer may be old, and why. It is empty for one that is not.
func staleLine(s Style, f *arbiterv1.Freshness) string {
	switch {
	case f == nil || f.Linearizable:
		return ""
	case f.LogOnDisk > 0 && f.AppliedIndex > 0:
		return s.bad(restartedSentence(f) + fmt.Sprintf(" This is how things were at %d.", f.AppliedIndex))
	case f.LogOnDisk > 0:
		return s.bad(restartedSentence(f))
	}
	return s.bad(fmt.Sprintf("This is what %s knew last (log %d) and may be old.", orDash(f.Node), f.AppliedIndex))
}

// Stale is staleLine with its end, for a page that has no place for it; empty for an answer that is not.
func Stale(s Style, f *arbiterv1.Freshness) string {
	p := s.page()
	if stale := staleLine(s, f); stale != "" {
		p.line("%s", stale)
	}
	return p.String()
}

func restartedSentence(f *arbiterv1.Freshness) string {
	return fmt.Sprintf("%s was restarted and waits for a majority of arbiters, who know how much of its log (up to %d) counts.", orDash(f.Node), f.LogOnDisk)
}

// restartedAdvice is what to do where an arbiter was restarted and knows less than its disk holds.
func restartedAdvice(f *arbiterv1.Freshness) []string {
	if f.GetLogOnDisk() == 0 {
		return nil
	}
	return []string{"start the other arbiters, with the disks that they had; which of them answer: arbiterctl arbiters --stale"}
}

// orDash keeps cells from being empty, which reads as a fault of the table.
func orDash(words string) string {
	if words == "" {
		return "-"
	}
	return words
}

func plural(n int, one, many string) string {
	if n == 1 {
		return fmt.Sprintf("%d %s", n, one)
	}
	return fmt.Sprintf("%d %s", n, many)
}
