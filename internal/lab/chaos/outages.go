package chaos

import (
	"slices"
	"time"
)

// Span is a time.
type Span struct{ From, Until time.Time }

// Length of the span.
func (s Span) Length() time.Duration { return s.Until.Sub(s.From) }

// shortestOutage is when a pause without acknowledgements counts as an outage. Less is a busy machine.
const shortestOutage = 500 * time.Millisecond

// Outages are the times in which no client's append was acknowledged.
func Outages(appends []Append) []Span {
	var acked []time.Time
	for _, a := range appends {
		if a.Acked {
			acked = append(acked, a.Ended)
		}
	}
	slices.SortFunc(acked, time.Time.Compare)
	var outages []Span
	for i := 1; i < len(acked); i++ {
		if gap := (Span{acked[i-1], acked[i]}); gap.Length() >= shortestOutage {
			outages = append(outages, gap)
		}
	}
	return outages
}
