package chaos

import (
	"bufio"
	"cmp"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Moment is one line of a database's own log that says what it may do.
type Moment struct {
	Member string
	At     time.Time
	// Ready: it accepts writes from now on. Otherwise its process starts: it is nothing yet.
	Ready bool
}

// Accepted is one write that a member accepted. It was writable at some moment between Executed and Ended.
type Accepted struct {
	Member          string
	Executed, Ended time.Time
	// By says who knows of it: a client's acknowledgement, a row, or the watch.
	By string
}

// Reign is a time through which a member's process surely accepted writes: from its log's word that it does (or the
// first write that it is known to have accepted, whichever was earlier) to the last such write.
type Reign struct {
	Member      string
	From, Until time.Time
}

// The words of PostgreSQL, in the language that the laboratory runs it in.
const (
	logTime   = "2006-01-02 15:04:05.000 MST"
	logStarts = "LOG:  starting PostgreSQL"
	logReady  = "LOG:  database system is ready to accept connections"
)

// logStamp finds the time in a line. Something may stand before it: a backend that outlives its postmaster is seen to
// print the prompt of single-user mode.
var logStamp = regexp.MustCompile(`\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} UTC`)

// MomentsOf reads what a database's log says of its starts and of when it became able to accept writes.
func MomentsOf(member, logFile string) ([]Moment, error) {
	file, err := os.Open(logFile)
	if err != nil {
		return nil, fmt.Errorf("read log of %s: %w", member, err)
	}
	defer file.Close()
	var moments []Moment
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		line := lines.Text()
		starts, ready := strings.Contains(line, logStarts), strings.HasSuffix(line, logReady)
		if !starts && !ready {
			continue
		}
		at, err := time.Parse(logTime, logStamp.FindString(line))
		if err != nil {
			return nil, fmt.Errorf("read log of %s: %w", member, err)
		}
		moments = append(moments, Moment{Member: member, At: at, Ready: ready})
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read log of %s: %w", member, err)
	}
	return moments, nil
}

// Reigns puts logs and accepted writes together. A process that was a standby is never one again, so each process has
// one reign at most.
func Reigns(moments []Moment, accepted []Accepted) []Reign {
	type life struct {
		member  string
		started time.Time
		reign   Reign
		wrote   bool
	}
	var lives []*life
	current := func(member string, at time.Time) *life {
		var found *life
		for _, l := range lives {
			if l.member == member && !l.started.After(at) {
				found = l
			}
		}
		if found == nil { // from before its log: the log was lost
			found = &life{member: member}
			lives = append([]*life{found}, lives...)
		}
		return found
	}
	ordered := slices.Clone(moments)
	slices.SortStableFunc(ordered, func(a, b Moment) int { return a.At.Compare(b.At) })
	for _, m := range ordered {
		if !m.Ready {
			lives = append(lives, &life{member: m.Member, started: m.At})
		} else if l := current(m.Member, m.At); l.reign.From.IsZero() {
			l.reign = Reign{Member: m.Member, From: m.At, Until: m.At}
		}
	}
	for _, a := range accepted {
		l := current(a.Member, a.Executed)
		if l.reign.From.IsZero() {
			l.reign = Reign{Member: a.Member, From: a.Ended, Until: a.Executed}
		}
		l.wrote = true
		l.reign.From = earlier(l.reign.From, a.Ended)
		l.reign.Until = later(l.reign.Until, a.Executed)
	}
	var reigns []Reign
	for _, l := range lives {
		if l.wrote || !l.reign.From.IsZero() {
			reigns = append(reigns, l.reign)
		}
	}
	slices.SortFunc(reigns, func(a, b Reign) int {
		return cmp.Or(a.From.Compare(b.From), strings.Compare(a.Member, b.Member))
	})
	return reigns
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// CheckWriters returns every instant at which two members were writable: each accepted write of one that lies inside a
// reign of another, and each log's word that one accepts writes inside a reign of another.
func CheckWriters(moments []Moment, accepted []Accepted) []string {
	reigns := Reigns(moments, accepted)
	var doubles []string
	inside := func(member string, from, until time.Time, what string) {
		for _, r := range reigns {
			if r.Member != member && !from.Before(r.From) && !until.After(r.Until) {
				doubles = append(doubles, fmt.Sprintf("%s: %s %s, inside the reign of %s from %s to %s", clockOf(from), member, what,
					r.Member, clockOf(r.From), clockOf(r.Until)))
			}
		}
	}
	for _, m := range moments {
		if m.Ready {
			inside(m.Member, m.At, m.At, "began to accept writes")
		}
	}
	for _, a := range accepted {
		inside(a.Member, a.Executed, a.Ended, "accepted a write ("+a.By+")")
	}
	slices.Sort(doubles)
	return doubles
}
