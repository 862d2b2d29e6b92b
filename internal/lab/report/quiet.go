package report

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
)

// LeastQuiet is the shortest quiet time whose number of false failovers may stand beside outages.
const LeastQuiet = 10 * time.Minute

// ErrQuiet says that a report does not tell how often the arbiters that were measured fail over for nothing.
var ErrQuiet = errors.New("the quiet report does not fit")

// Quiet is a time in which no failover was due: under loss of packets and stalls.
type Quiet struct {
	// Minutes that were watched, in which the faults named by Under went on.
	Minutes float64 `json:"minutes"`
	Under   string  `json:"under"`
	// FalseFailovers is how often the intent to fence the healthy primary was committed all the same.
	FalseFailovers int `json:"false_failovers"`
	// LeasesReturned is how often an arbiter was granted the lease for a failover and ended it with nothing done, since the primary was
	// seen again: the group's epoch grew, and clients noticed nothing.
	LeasesReturned int `json:"leases_returned"`
	// Seed gives the same stalls again.
	Seed uint64 `json:"seed,omitempty"`
	// Stalls is how many hosts were frozen for a moment.
	Stalls int `json:"stalls,omitempty"`
	// Suspicions is how often a group left steady, false failovers and returned leases included; VerdictChanges how often the verdict on a
	// member changed; LeaderChanges how often another arbiter came to lead.
	Suspicions     int `json:"suspicions"`
	VerdictChanges int `json:"verdict_changes"`
	LeaderChanges  int `json:"leader_changes"`
	// LogEntries is what the arbiters agreed on: nearly all of it changes of their views.
	LogEntries int `json:"log_entries"`
	// WritesTried and WritesMissed are the client's attempts, and those that were not acknowledged.
	WritesTried  int `json:"writes_tried"`
	WritesMissed int `json:"writes_missed"`
	// LongestGapMS is the longest time without an acknowledged write.
	LongestGapMS float64 `json:"longest_gap_ms"`
	// LostAcked counts acknowledged writes that the primary at the end doesn't have.
	LostAcked int `json:"lost_acked"`
	// DoubleWritable is as in Run.
	DoubleWritable int `json:"double_writable"`
}

// ReadQuiet reads the quiet time of another report, to stand beside outages of a profile and service. The error is ErrQuiet if it was of
// other ones, or too short.
func ReadQuiet(path, profile, service string) (*Quiet, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read quiet report: %w", err)
	}
	var b Bench
	if err := json.Unmarshal(text, &b); err != nil {
		return nil, fmt.Errorf("read quiet report %s: %w", path, err)
	}
	switch {
	case b.Quiet == nil:
		return nil, fmt.Errorf("%w: %s is of fault %q, not of quiet", ErrQuiet, path, b.Fault)
	case b.Profile != profile || b.Service != service:
		return nil, fmt.Errorf("%w: %s is of profile %s and service %s, the outages are of %s and %s", ErrQuiet, path, b.Profile, b.Service, profile, service)
	case b.Quiet.Minutes < LeastQuiet.Minutes():
		return nil, fmt.Errorf("%w: %s watched %.1f minutes, and %.0f are the least", ErrQuiet, path, b.Quiet.Minutes, LeastQuiet.Minutes())
	}
	return b.Quiet, nil
}

// price is what stands beside every outage: quick failovers are worth nothing if there are some for nothing.
func (b *Bench) price() string {
	if b.Quiet == nil {
		return fmt.Sprintf("NOT TO BE PUBLISHED: the false failovers of profile %s are not told (make bench FAULT=quiet MINUTES=%.0f REPORT=file, then QUIET=file)",
			b.Profile, LeastQuiet.Minutes())
	}
	return b.Quiet.price()
}

func (q *Quiet) price() string {
	return fmt.Sprintf("%d false failovers (and %d leases taken and given back with nothing done) in %.1f minutes of %s",
		q.FalseFailovers, q.LeasesReturned, q.Minutes, q.Under)
}

func (q *Quiet) table() table.Writer {
	t := newTable("what", "how many")
	for _, line := range []struct {
		what  string
		count int
	}{
		{"stalls", q.Stalls},
		{"false failovers: the healthy primary was fenced", q.FalseFailovers},
		{"leases taken and given back with nothing done", q.LeasesReturned},
		{"suspicions of the group", q.Suspicions},
		{"changes of a member's verdict", q.VerdictChanges},
		{"changes of the leading arbiter", q.LeaderChanges},
		{"log entries", q.LogEntries},
		{"writes tried", q.WritesTried},
		{"writes missed", q.WritesMissed},
		{"acknowledged writes lost", q.LostAcked},
		{"writes accepted by two members", q.DoubleWritable},
	} {
		t.AppendRow(table.Row{line.what, line.count})
	}
	t.AppendRow(table.Row{"longest gap of writes, ms", fmt.Sprintf("%.0f", q.LongestGapMS)})
	return t
}
