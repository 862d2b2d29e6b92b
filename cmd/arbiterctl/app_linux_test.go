package main

import (
	"fmt"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// terminal is the side of a new terminal, so many cells wide, that programs write to.
func terminal(t *testing.T, cells uint16) *os.File {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("no terminals here: %v", err)
	}
	t.Cleanup(func() { master.Close() })
	number, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetWinsize(int(master.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: cells}); err != nil {
		t.Fatal(err)
	}
	side, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("no terminals here: %v", err)
	}
	t.Cleanup(func() { side.Close() })
	return side
}

// What a script reads is one line a row, however wide the terminal is that the script was started from.
func TestStyle_OnlyATerminalHasAWidth(t *testing.T) {
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer read.Close()
	defer write.Close()
	a := &app{environment: func(string) string { return "" }, now: time.Now}
	for _, c := range []struct {
		to   *os.File
		want int
	}{{terminal(t, 80), 80}, {terminal(t, 0), 0}, {write, 0}} {
		a.stdout = c.to
		if got := a.style().Width; got != c.want {
			t.Errorf("%s: width %d, want %d", c.to.Name(), got, c.want)
		}
	}
}
