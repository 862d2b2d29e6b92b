// Package report holds what a demo or a bench measured, and prints it for people (tables), for spreadsheets (CSV) and
// for machines (JSON).
//
// All durations are in milliseconds. Quantiles are values that were measured, never interpolated: the p50 of an even
// number of runs is the greater of the two in the middle, so no number looks better than a run that happened.
//
// Goroutines: none.
package report

import (
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Bench is the result of one or more runs with the same fault.
type Bench struct {
	// Kind is always "bench".
	Kind string `json:"kind"`
	// Fault names what was done to the primary.
	Fault string `json:"fault"`
	// Service is what was failed over: postgres, or builtin, the laboratory's own, which says nothing of a database.
	Service string `json:"service,omitempty"`
	// Fence names the fence that was used: an outage means nothing without it.
	Fence string `json:"fence,omitempty"`
	// Profile is that of the health checks.
	Profile string `json:"profile,omitempty"`
	// Hosts says what the hosts were: namespaces or loopback.
	Hosts string `json:"hosts,omitempty"`
	// Runs in the order in which they were made.
	Runs []Run `json:"runs"`
	// Quiet is the price of that profile in false failovers, of another run where there are outages; nil when it was not given.
	Quiet *Quiet `json:"quiet,omitempty"`
	// Idle is what it costs when nothing happens; empty when it was not measured.
	Idle []Idle `json:"idle,omitempty"`
}

// Run is one failover.
type Run struct {
	// OutageMS is from the fault to the client's first committed write on the new primary.
	OutageMS float64 `json:"outage_ms"`
	// LostAcked counts acknowledged writes that the new primary doesn't have.
	LostAcked int `json:"lost_acked"`
	// DoubleWritable counts writes that one member accepted while another one accepted writes too.
	DoubleWritable int `json:"double_writable"`
	// PhasesMS is where the outage went; nil when the arbiters' own record could not be read.
	PhasesMS *Phases `json:"phases_ms,omitempty"`
	// Machine is how fast it was just before; nil when that was not measured.
	Machine *Machine `json:"machine,omitempty"`
}

// Phases divide one outage. They follow one another without gaps, so their sum is the outage.
type Phases struct {
	// Detect is from the fault to the verdict of a quorum.
	Detect float64 `json:"detect"`
	// Decide is from the verdict to the begin of the fence: the lease and the intent.
	Decide float64 `json:"decide"`
	// Fence is until the old primary is proven unable to write.
	Fence float64 `json:"fence"`
	// Promote is until the new primary has written its epoch, catching up included.
	Promote float64 `json:"promote"`
	// Route is until clients are let through.
	Route float64 `json:"route"`
	// FirstWrite is until the client's first commit.
	FirstWrite float64 `json:"first_write"`
}

// Idle is the cost of arbiters with nothing to do.
type Idle struct {
	Groups int `json:"groups"`
	// CPUPercent and RSSMB are those of the costliest arbiter; CPU in percent of one core.
	CPUPercent float64 `json:"cpu_percent"`
	RSSMB      float64 `json:"rss_mb"`
	// LogBytesPerMinute is what the arbiter that wrote most wrote to disk: the Raft log in pages of 4 kB, and its own
	// messages.
	LogBytesPerMinute float64 `json:"log_bytes_per_minute"`
	// LogEntriesPerMinute is how many entries the log gained; 0 while nothing changes.
	LogEntriesPerMinute float64 `json:"log_entries_per_minute"`
	// ServingMS is how long the arbiters took from nothing to a leader that answers; AgainMS is the same for one of them, ended and
	// started again with all groups there, to being ready.
	ServingMS float64 `json:"serving_ms,omitempty"`
	AgainMS   float64 `json:"serving_again_ms,omitempty"`
	// Shared says what the groups have in common that they would not have elsewhere.
	Shared string `json:"shared,omitempty"`
	// Machine is how fast it was just before; nil when that was not measured.
	Machine *Machine `json:"machine,omitempty"`
	// Seconds is how long was measured.
	Seconds float64 `json:"seconds,omitempty"`
	// Arbiters are the arbiters one by one.
	Arbiters []IdleArbiter `json:"arbiters,omitempty"`
	// Entries are what the log grew by meanwhile, by kind; empty if it didn't. WholeViews are those among them that an arbiter sent whole.
	Entries    []IdleEntries `json:"entries,omitempty"`
	WholeViews []IdleWhole   `json:"whole_views,omitempty"`
	// LogsKept is where the arbiters' own messages were kept, if the log grew.
	LogsKept string `json:"logs_kept,omitempty"`
}

// IdleEntries are the entries of one kind.
type IdleEntries struct {
	Kind    string `json:"kind"`
	Entries int    `json:"entries"`
	Bytes   int    `json:"bytes"`
}

// IdleWhole is how often an arbiter sent its whole view for one reason.
type IdleWhole struct {
	Arbiter string `json:"arbiter"`
	Why     string `json:"why"`
	Views   int    `json:"views"`
	Bytes   int    `json:"bytes"`
}

// IdleArbiter is the cost of one arbiter, in the units of Idle.
type IdleArbiter struct {
	Name              string  `json:"name"`
	Leader            bool    `json:"leader"`
	CPUPercent        float64 `json:"cpu_percent"`
	RSSMB             float64 `json:"rss_mb"`
	LogBytesPerMinute float64 `json:"log_bytes_per_minute"`
}

// NewIdle sums the arbiters up.
func NewIdle(groups int, arbiters []IdleArbiter) Idle {
	idle := Idle{Groups: groups, Arbiters: arbiters}
	for _, a := range arbiters {
		idle.CPUPercent = max(idle.CPUPercent, a.CPUPercent)
		idle.RSSMB = max(idle.RSSMB, a.RSSMB)
		idle.LogBytesPerMinute = max(idle.LogBytesPerMinute, a.LogBytesPerMinute)
	}
	return idle
}

// New returns an empty report on a fault.
func New(fault string) *Bench { return &Bench{Kind: "bench", Fault: fault, Runs: []Run{}} }

// Milliseconds is a duration as reports have it, with microseconds.
func Milliseconds(d time.Duration) float64 {
	return math.Round(float64(d)/float64(time.Microsecond)) / 1000
}

// WriteJSON writes the report for machines to a file.
func (b *Bench) WriteJSON(path string) error {
	text, err := json.Marshal(b)
	if err != nil {
		return fmt.Errorf("encode report: %w", err)
	}
	if err := os.WriteFile(path, append(text, '\n'), 0o644); err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	return nil
}

// phase is one column of phases.
type phase struct {
	name string
	of   func(*Phases) float64
}

// phases lists the columns in order of time.
func phases() []phase {
	return []phase{
		{"detect", func(p *Phases) float64 { return p.Detect }},
		{"decide", func(p *Phases) float64 { return p.Decide }},
		{"fence", func(p *Phases) float64 { return p.Fence }},
		{"promote", func(p *Phases) float64 { return p.Promote }},
		{"route", func(p *Phases) float64 { return p.Route }},
		{"first write", func(p *Phases) float64 { return p.FirstWrite }},
	}
}

// WriteCSV writes one line per run.
func (b *Bench) WriteCSV(to io.Writer) error {
	w := csv.NewWriter(to)
	header := []string{"run", "fault", "outage_ms", "lost_acked", "double_writable"}
	for _, p := range phases() {
		header = append(header, strings.ReplaceAll(p.name, " ", "_")+"_ms")
	}
	lines := [][]string{header}
	for i, run := range b.Runs {
		line := []string{strconv.Itoa(i + 1), b.Fault, number(run.OutageMS), strconv.Itoa(run.LostAcked), strconv.Itoa(run.DoubleWritable)}
		for _, p := range phases() {
			value := ""
			if run.PhasesMS != nil {
				value = number(p.of(run.PhasesMS))
			}
			line = append(line, value)
		}
		lines = append(lines, line)
	}
	if err := w.WriteAll(lines); err != nil {
		return fmt.Errorf("write report as CSV: %w", err)
	}
	return nil
}

func number(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }

// Distribution sums up measured values.
type Distribution struct{ Min, P50, P90, Max float64 }

// Summarise returns the zero Distribution for no values.
func Summarise(values []float64) Distribution {
	if len(values) == 0 {
		return Distribution{}
	}
	sorted := slices.Sorted(slices.Values(values))
	at := func(share float64) float64 { return sorted[min(int(share*float64(len(sorted))), len(sorted)-1)] }
	return Distribution{Min: sorted[0], P50: at(0.5), P90: at(0.9), Max: sorted[len(sorted)-1]}
}

// Outages are the outages of all runs, in ms.
func (b *Bench) Outages() []float64 {
	var values []float64
	for _, run := range b.Runs {
		values = append(values, run.OutageMS)
	}
	return values
}

// Lost is how many acknowledged writes are missing, over all runs and the quiet time.
func (b *Bench) Lost() (sum int) {
	for _, run := range b.Runs {
		sum += run.LostAcked
	}
	if b.Quiet != nil {
		sum += b.Quiet.LostAcked
	}
	return sum
}

// Doubles is how many writes were accepted beside another writer, over all runs and the quiet time.
func (b *Bench) Doubles() (sum int) {
	for _, run := range b.Runs {
		sum += run.DoubleWritable
	}
	if b.Quiet != nil {
		sum += b.Quiet.DoubleWritable
	}
	return sum
}

// ErrBroken says that what was measured shows a promise that was not kept, whatever the times are.
var ErrBroken = errors.New("what nothing may break was broken")

// Failed says what of the promises was not kept in any run.
func (b *Bench) Failed() error { return broken(b.Lost(), b.Doubles()) }

// Failed says what of the promises was not kept in this run.
func (r Run) Failed() error { return broken(r.LostAcked, r.DoubleWritable) }

func broken(lost, doubles int) error {
	if lost == 0 && doubles == 0 {
		return nil
	}
	return fmt.Errorf("%w: %d acknowledged writes were lost, %d writes were accepted by two members", ErrBroken, lost, doubles)
}
