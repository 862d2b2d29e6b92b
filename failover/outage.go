package failover

import (
	"slices"
	"time"
)

// WriteOutage is how long an operation kept writes away, by the wall clocks of arbiters: from the first sight of the fault or, where somebody
// asked for it, from the beginning of the isolation, until a write through every route that has a verify_address was seen on the new primary. What a verify goes on to
// wait for, such as standbys that follow, is no part of it. False if no write was proven.
func WriteOutage(o *Operation) (time.Duration, bool) {
	begin := slices.IndexFunc(o.Steps, func(s Step) bool { return s.Name == "fault" || s.Name == string(ActionIsolate) })
	for _, s := range slices.Backward(o.Steps) {
		if begin >= 0 && s.Name == string(ActionVerify) && s.Result == ResultDone {
			return time.Duration(s.writeSeen() - o.Steps[begin].Began), true
		}
	}
	return 0, false
}

// writeSeen is when a verify had seen the write through the last route: at its end, if its parts don't say.
func (s Step) writeSeen() WallTime {
	var seen time.Duration
	for _, p := range s.Parts {
		if p.WriteSeen {
			seen = max(seen, p.Start+p.Length)
		}
	}
	if seen == 0 {
		return s.Ended
	}
	return min(s.Began+WallTime(seen), s.Ended)
}
