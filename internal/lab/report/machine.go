package report

import "fmt"

// Machine is how fast the machine was when something was measured, by package yardstick.
type Machine struct {
	// HashMBPerSecond is how much SHA-256 one core does, in megabytes a second.
	HashMBPerSecond float64 `json:"hash_mb_per_s"`
	// WakeUpUS is how long a sleeping thread takes to be woken by another one, in microseconds.
	WakeUpUS float64 `json:"wake_up_us"`
	// SyncedWriteUS is how long a page takes to be written and synced, in microseconds.
	SyncedWriteUS float64 `json:"synced_write_us"`
}

// machines are the measurements of all runs, or of the time at rest.
func (b *Bench) machines() (all []Machine) {
	for _, run := range b.Runs {
		if run.Machine != nil {
			all = append(all, *run.Machine)
		}
	}
	for _, idle := range b.Idle {
		if idle.Machine != nil {
			all = append(all, *idle.Machine)
		}
	}
	return all
}

// speed says how fast the machine was, by the medians; empty if nobody measured it.
func speed(machines []Machine) string {
	if len(machines) == 0 {
		return ""
	}
	median := func(of func(Machine) float64) float64 {
		var values []float64
		for _, m := range machines {
			values = append(values, of(m))
		}
		return Summarise(values).P50
	}
	return fmt.Sprintf("the machine: SHA-256 %.0f MB/s on one core, a thread wakes in %.0f µs, a synced write takes %.0f µs",
		median(func(m Machine) float64 { return m.HashMBPerSecond }), median(func(m Machine) float64 { return m.WakeUpUS }),
		median(func(m Machine) float64 { return m.SyncedWriteUS }))
}
