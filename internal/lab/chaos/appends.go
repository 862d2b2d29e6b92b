package chaos

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/arbiter-ha/arbiter/internal/lab/traffic"
)

// Append is one append of a client.
type Append struct {
	Client string
	Number int64
	// Began and Ended are wall times.
	Began, Ended time.Time
	// Acked means that the commit was acknowledged, by Member.
	Acked  bool
	Member string
}

// Row is one append as the primary has it at the end.
type Row struct {
	Client string
	Number int64
	// Member executed it, at Executed by its own clock, and committed it at Committed.
	Member              string
	Executed, Committed time.Time
}

// appendsTable has no primary key: if an append is ever done twice, that must show in the table and not in an error.
const appendsTable = `CREATE TABLE appends (
	client text NOT NULL,
	number bigint NOT NULL,
	member text NOT NULL DEFAULT current_setting('cluster_name'),
	executed timestamptz NOT NULL DEFAULT clock_timestamp());
	GRANT SELECT, INSERT ON appends TO app`

// appender is a client's session that appends.
type appender struct{ *session }

func (a appender) Append(ctx context.Context, writer string, number int64) (member string, err error) {
	err = a.ask(ctx, []any{&member}, "INSERT INTO appends (client, number) VALUES ($1, $2) RETURNING member", writer, number)
	return member, err
}

// appendsOf are a client's attempts on the wall clock; boot is the wall time at which the boot-time clock was 0. One more
// attempt than was noted may have been cut short when the client was stopped: its outcome is unknown.
func appendsOf(w *traffic.Writer, boot time.Time) []Append {
	var all []Append
	last := Append{Client: w.Name(), Number: 1, Began: boot}
	for _, a := range w.Attempts() {
		last.Number, last.Began = a.Number+1, boot.Add(a.Ended)
		all = append(all, Append{
			Client: w.Name(), Number: a.Number, Began: boot.Add(a.Began), Ended: boot.Add(a.Ended), Acked: a.Acked, Member: a.Member,
		})
	}
	last.Ended = last.Began
	return append(all, last)
}

// AppendFaults are what is wrong with the appends: each line names one.
type AppendFaults struct {
	// Lost were acknowledged and are not there.
	Lost []string `json:"lost,omitempty"`
	// Doubled are there more than once.
	Doubled []string `json:"doubled,omitempty"`
	// Strange were never made, come from another member than the one that acknowledged them, or were not executed
	// while their client waited.
	Strange []string `json:"strange,omitempty"`
	// Disordered were committed before one that its client had acknowledged earlier.
	Disordered []string `json:"disordered,omitempty"`
}

// clockGrain is by how much times of one machine's clock, read by two programs, may differ when they are equal.
const clockGrain = 20 * time.Millisecond

// CheckAppends compares what clients noted with what the primary has. grain is by how much the times of clients and databases
// may differ when they are equal.
func CheckAppends(appends []Append, rows []Row, grain time.Duration) AppendFaults {
	type key struct {
		client string
		number int64
	}
	var faults AppendFaults
	there := map[key][]Row{}
	for _, r := range rows {
		k := key{r.Client, r.Number}
		there[k] = append(there[k], r)
		if len(there[k]) == 2 {
			faults.Doubled = append(faults.Doubled, fmt.Sprintf("%s/%d by %s and %s", r.Client, r.Number, there[k][0].Member, r.Member))
		}
	}
	made := map[key]bool{}
	last := map[string]Row{} // by client: the last acknowledged one
	for _, a := range inOrder(appends) {
		k := key{a.Client, a.Number}
		made[k] = true
		if !a.Acked {
			continue
		}
		name := fmt.Sprintf("%s/%d", a.Client, a.Number)
		if len(there[k]) == 0 {
			faults.Lost = append(faults.Lost, fmt.Sprintf("%s, acknowledged by %s at %s", name, a.Member, clockOf(a.Ended)))
			continue
		}
		r := there[k][0]
		if r.Member != a.Member {
			faults.Strange = append(faults.Strange, fmt.Sprintf("%s was acknowledged by %s and written by %s", name, a.Member, r.Member))
		}
		if r.Executed.Before(a.Began.Add(-grain)) || r.Executed.After(a.Ended.Add(grain)) {
			faults.Strange = append(faults.Strange, fmt.Sprintf("%s was executed at %s, and its client waited from %s to %s", name,
				clockOf(r.Executed), clockOf(a.Began), clockOf(a.Ended)))
		}
		if before, any := last[a.Client]; any && r.Committed.Before(before.Committed) {
			faults.Disordered = append(faults.Disordered, fmt.Sprintf("%s was committed at %s, %s/%d before it at %s", name,
				clockOf(r.Committed), a.Client, before.Number, clockOf(before.Committed)))
		}
		last[a.Client] = r
	}
	for k := range there {
		if !made[k] {
			faults.Strange = append(faults.Strange, fmt.Sprintf("%s/%d is there, and nobody has made it", k.client, k.number))
		}
	}
	slices.Sort(faults.Strange)
	return faults
}

func inOrder(appends []Append) []Append {
	sorted := slices.Clone(appends)
	slices.SortStableFunc(sorted, func(a, b Append) int { return a.Began.Compare(b.Began) })
	return sorted
}

func clockOf(t time.Time) string { return t.UTC().Format("15:04:05.000") }
