package clock

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// bootTime returns a reader of CLOCK_BOOTTIME. Linux has it since 2.6.39 and the call can't fail there; if it does all
// the same, nothing that this process could do would be safe, so it ends.
func bootTime() func() time.Duration {
	return func() time.Duration {
		var now unix.Timespec
		if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &now); err != nil {
			panic(fmt.Sprintf("clock: read CLOCK_BOOTTIME: %v; Linux 2.6.39 or newer is needed", err))
		}
		return time.Duration(now.Nano())
	}
}
