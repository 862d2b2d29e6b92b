package clock

import (
	"fmt"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// bootTime returns a reader of CLOCK_BOOTTIME. Linux has it since 2.6.39 and the call can't fail there; if it does all
// the same, nothing that this process could do would be safe, so it ends.
//
// The call never waits, so Go's scheduler is not told of it, as it would be by unix.ClockGettime: that wakes the runtime's monitor thread.
func bootTime() func() time.Duration {
	return func() time.Duration {
		var now unix.Timespec
		if _, _, errno := unix.RawSyscall(unix.SYS_CLOCK_GETTIME, unix.CLOCK_BOOTTIME, uintptr(unsafe.Pointer(&now)), 0); errno != 0 {
			panic(fmt.Sprintf("clock: read CLOCK_BOOTTIME: %v; Linux 2.6.39 or newer is needed", errno))
		}
		return time.Duration(now.Nano())
	}
}
