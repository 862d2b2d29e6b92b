package traffic

import "time"

// Outage is a time without acknowledged writes. Moments are on the boot-time clock.
type Outage struct {
	// Fault is when the fault began to be made.
	Fault time.Duration
	// LastAck is the end of the last write that the failed member acknowledged.
	LastAck time.Duration
	// First is the first write that another member acknowledged after the fault.
	First Attempt
	// Length is from the fault to the acknowledgement of First: what is reported.
	Length time.Duration
	// Gap is from LastAck to the acknowledgement of First. It is longer than Length by the part of the client's
	// interval that had passed when the fault came, and shorter when the failed member went on acknowledging.
	Gap time.Duration
}

// Outage returns the outage that a fault of the member failed has caused, and whether it has ended: whether another
// member has acknowledged a write that ended after the fault.
func (w *Writer) Outage(fault time.Duration, failed string) (Outage, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return outageOf(w.attempts, fault, failed)
}

func outageOf(attempts []Attempt, fault time.Duration, failed string) (Outage, bool) {
	o := Outage{Fault: fault}
	for _, a := range attempts {
		switch {
		case !a.Acked:
		case a.Member == failed || a.Ended <= fault:
			o.LastAck = a.Ended
		default:
			o.First = a
			o.Length = a.Ended - fault
			o.Gap = a.Ended - o.LastAck
			return o, true
		}
	}
	return o, false
}

// LongestGap is the longest time between two acknowledgements of which the later one ended after since, whoever
// acknowledged. It says what clients noticed when no member was replaced.
func (w *Writer) LongestGap(since time.Duration) time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	var longest, last time.Duration
	seen := false
	for _, a := range w.attempts {
		if !a.Acked {
			continue
		}
		if seen && a.Ended > since {
			longest = max(longest, a.Ended-last)
		}
		last, seen = a.Ended, true
	}
	return longest
}
