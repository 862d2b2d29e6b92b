package sim

import (
	"time"

	"github.com/arbiter-ha/arbiter/failover"
)

// bootClock is the boot-time clock of one machine: it has a rate of its own, goes on through a suspend, and stands still while a hypervisor
// has paused the machine.
type bootClock struct {
	rate    float64
	base    time.Duration // what it showed at since
	since   time.Duration // true time
	stopped bool
}

func (c *bootClock) read(now time.Duration) time.Duration {
	if c.stopped {
		return c.base
	}
	return c.base + time.Duration(float64(now-c.since)*c.rate)
}

func (c *bootClock) stop(now time.Duration) {
	c.base, c.since, c.stopped = c.read(now), now, true
}

func (c *bootClock) goOn(now time.Duration) {
	c.since, c.stopped = now, false
}

// until is how much true time passes until the clock shows a time, if nothing stops it.
func (c *bootClock) until(boot, now time.Duration) time.Duration {
	d := boot - c.read(now)
	if d <= 0 {
		return 0
	}
	return time.Duration(float64(d)/c.rate) + time.Microsecond
}

// wallStart is what right wall clocks show when a run begins.
const wallStart = failover.WallTime(1_800_000_000_000_000_000)
