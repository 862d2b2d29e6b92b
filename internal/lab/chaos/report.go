package chaos

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/arbiter-ha/arbiter/internal/lab/report"
	arbiterv1 "github.com/arbiter-ha/arbiter/proto/arbiter/v1"
)

// Report is the result of one run. Its lines of text name what is wrong one by one; the counts say how many.
type Report struct {
	Kind           string    `json:"kind"` // always "chaos"
	Minutes        float64   `json:"minutes"`
	Faults         int       `json:"faults"`
	Failovers      int       `json:"failovers"`
	FalseFailovers int       `json:"false_failovers"`
	LostAcked      int       `json:"lost_acked"`
	DoubleWritable int       `json:"double_writable"`
	OutagesMS      []float64 `json:"outages_ms"`

	Seed            uint64         `json:"seed"`
	Began           time.Time      `json:"began"`
	ByKind          map[Kind]int   `json:"faults_by_kind"`
	Skipped         int            `json:"faults_skipped"`
	Appends         Count          `json:"appends"`
	Register        Count          `json:"register"`
	Doubles         []string       `json:"doubles,omitempty"`
	False           []string       `json:"false,omitempty"`
	Holds           []Hold         `json:"holds,omitempty"`
	Commands        map[string]int `json:"commands"`
	Operations      []string       `json:"operations,omitempty"`
	AppendFaults    AppendFaults   `json:"append_faults"`
	RegisterVerdict Linearity      `json:"register_verdict"`
	LeaderChanges   int            `json:"leader_changes"`
	// Replay is of what every life of every arbiter recorded.
	Replay Replay `json:"replay"`
	// Repairs of the crew, and those of them that failed and were tried again.
	Repairs       int `json:"repairs"`
	RepairsInVain int `json:"repairs_in_vain"`
	// ArbitersEnded are arbiters that ended without a fault that ends them, as one does whose disk hangs.
	ArbitersEnded []string `json:"arbiters_ended,omitempty"`
	// WholeAfterMS is how long it took from the last fault's end until everything was whole; NotWhole says what never was.
	WholeAfterMS float64 `json:"whole_after_ms"`
	NotWhole     string  `json:"not_whole,omitempty"`

	// ClockMovedMS is by how much the wall clock was set or slewed during the run; times can't be told more finely.
	ClockMovedMS float64 `json:"clock_moved_ms"`

	injected []Injected
	reigns   []Reign
	outages  []Span
}

// Count is how many operations of a workload were tried, and how many of them acknowledged.
type Count struct {
	Tried int `json:"tried"`
	Acked int `json:"acked"`
}

// Replay is how much of what the arbiters recorded was given to a new core, and where that answered something else.
type Replay struct {
	Lives       int      `json:"lives"` // of processes
	Entries     int      `json:"entries"`
	Steps       int      `json:"steps"`
	Outputs     int      `json:"outputs"`
	Differences []string `json:"differences,omitempty"`
	// Cut are recordings that end without a word, as those of processes that were killed do; Unended says of which arbiters there are more of
	// them. Early says why processes recorded nothing more and went on: what they decided after that is not compared.
	Cut     int      `json:"cut"`
	Unended []string `json:"unended,omitempty"`
	Early   []string `json:"early,omitempty"`
}

// Errors that fail a run.
var (
	ErrLost            = errors.New("acknowledged appends were lost")
	ErrTwoWriters      = errors.New("two members accepted writes at the same time")
	ErrAppends         = errors.New("appends were doubled, disordered, or never made")
	ErrNotLinearizable = errors.New("the register's history was not shown to be linearizable")
	ErrFalse           = errors.New("the group failed over without a fault on its primary")
	ErrReplay          = errors.New("a replay of what an arbiter recorded differs")
	ErrUnended         = errors.New("recordings of arbiters that were not killed lack their end")
	ErrNotWhole        = errors.New("the group did not become whole again")
)

// Failed says what of the promises was not kept.
func (r *Report) Failed() error {
	var failed error
	if r.LostAcked > 0 {
		failed = errors.Join(failed, fmt.Errorf("%w: %d", ErrLost, r.LostAcked))
	}
	if r.DoubleWritable > 0 {
		failed = errors.Join(failed, fmt.Errorf("%w: %d instants", ErrTwoWriters, r.DoubleWritable))
	}
	if n := len(r.AppendFaults.Doubled) + len(r.AppendFaults.Disordered) + len(r.AppendFaults.Strange); n > 0 {
		failed = errors.Join(failed, fmt.Errorf("%w: %d", ErrAppends, n))
	}
	if r.RegisterVerdict != Linearizable {
		failed = errors.Join(failed, fmt.Errorf("%w: %s", ErrNotLinearizable, r.RegisterVerdict))
	}
	if r.FalseFailovers > 0 {
		failed = errors.Join(failed, fmt.Errorf("%w: %d of %d failovers", ErrFalse, r.FalseFailovers, r.Failovers))
	}
	if n := len(r.Replay.Differences); n > 0 {
		failed = errors.Join(failed, fmt.Errorf("%w: %d of %d lives, %d steps", ErrReplay, n, r.Replay.Lives, r.Replay.Steps))
	}
	if len(r.Replay.Unended) > 0 {
		failed = errors.Join(failed, fmt.Errorf("%w: %s", ErrUnended, strings.Join(r.Replay.Unended, "; ")))
	}
	if r.NotWhole != "" {
		failed = errors.Join(failed, fmt.Errorf("%w: %s", ErrNotWhole, r.NotWhole))
	}
	return failed
}

// automatic tells the arbiters' own operations from those that a person asked for.
func automatic(op *arbiterv1.Operation) bool { return op.GetActor() == "automatic" }

// WriteJSON writes the report for machines to a file.
func (r *Report) WriteJSON(path string) error {
	text, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("encode report: %w", err)
	}
	if err := os.WriteFile(path, append(text, '\n'), 0o644); err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	return nil
}

// shown is how many of many lines people are shown.
const shown = 10

// WriteText writes the report for people.
func (r *Report) WriteText(to io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "\nChaos of %.1f minutes, seed %d\n", r.Minutes, r.Seed)
	fmt.Fprintf(&b, "  %d faults (%d skipped): %s\n", r.Faults, r.Skipped, countWords(r.ByKind))
	fmt.Fprintf(&b, "  %d failovers, %d of them without a fault on the primary; %d changes of the leading arbiter\n", r.Failovers, r.FalseFailovers, r.LeaderChanges)
	list(&b, "without a fault", r.False)
	d := report.Summarise(r.OutagesMS)
	fmt.Fprintf(&b, "  %d outages for clients of at least %v: shortest %.0f ms, p50 %.0f ms, p90 %.0f ms, longest %.0f ms\n", len(r.OutagesMS), shortestOutage, d.Min, d.P50, d.P90, d.Max)
	fmt.Fprintf(&b, "  %d holds\n", len(r.Holds))
	for _, h := range r.Holds {
		ended := h.Ended
		if ended == "" {
			ended = "nothing"
		}
		fmt.Fprintf(&b, "    %s for %.1f s, ended by %s: %s\n", clockOf(h.From), max(0, h.Until.Sub(h.From).Seconds()), ended, h.Reason)
	}
	fmt.Fprintf(&b, "  operators: %s; the crew made %d repairs, %d of them in vain at first\n", countWords(r.Commands), r.Repairs, r.RepairsInVain)
	list(&b, "arbiters that ended by themselves", r.ArbitersEnded)
	fmt.Fprintf(&b, "  appends: %d of %d acknowledged; %d lost, %d doubled, %d disordered, %d strange\n", r.Appends.Acked, r.Appends.Tried,
		r.LostAcked, len(r.AppendFaults.Doubled), len(r.AppendFaults.Disordered), len(r.AppendFaults.Strange))
	list(&b, "lost", r.AppendFaults.Lost)
	list(&b, "doubled", r.AppendFaults.Doubled)
	list(&b, "disordered", r.AppendFaults.Disordered)
	list(&b, "strange", r.AppendFaults.Strange)
	fmt.Fprintf(&b, "  register: %d of %d operations acknowledged; %s\n", r.Register.Acked, r.Register.Tried, r.RegisterVerdict)
	fmt.Fprintf(&b, "  %d instants with two writable members\n", r.DoubleWritable)
	list(&b, "two writers", r.Doubles)
	fmt.Fprintf(&b, "  replay of %d lives of arbiters: %d entries, %d steps, %d outputs; %d differences; %d recordings were cut, %d ended early\n", r.Replay.Lives, r.Replay.Entries,
		r.Replay.Steps, r.Replay.Outputs, len(r.Replay.Differences), r.Replay.Cut, len(r.Replay.Early))
	list(&b, "difference", r.Replay.Differences)
	list(&b, "without an end", r.Replay.Unended)
	list(&b, "ended early", r.Replay.Early)
	if r.NotWhole == "" {
		fmt.Fprintf(&b, "  everything was whole %.1f s after the last fault\n", r.WholeAfterMS/1000)
	} else {
		fmt.Fprintf(&b, "  NOT WHOLE: %s\n", r.NotWhole)
	}
	if _, err := io.WriteString(to, b.String()); err != nil {
		return fmt.Errorf("print report: %w", err)
	}
	return nil
}

func list(b *strings.Builder, what string, lines []string) {
	for i, line := range lines {
		if i == shown {
			fmt.Fprintf(b, "    ... and %d more\n", len(lines)-shown)
			return
		}
		fmt.Fprintf(b, "    %s: %s\n", what, line)
	}
}

func countWords[K ~string](counts map[K]int) string {
	var words []string
	for _, k := range slices.Sorted(maps.Keys(counts)) {
		words = append(words, fmt.Sprintf("%d %s", counts[k], k))
	}
	if len(words) == 0 {
		return "none"
	}
	return strings.Join(words, ", ")
}
