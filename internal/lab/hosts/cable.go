package hosts

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// ErrFastCables is returned when packets are to take longer at a site without Options.SlowCables.
var ErrFastCables = errors.New("only a site that was opened with slow cables can delay packets")

const (
	// frameSize is more than any packet of these networks has, in bytes.
	frameSize = 2048
	// cableHolds is how many packets may be on their way in one direction; what is more is lost.
	cableHolds = 4096
)

// cable is one that can be slow: two network devices whose other ends this process holds, and carries packets between. The
// kernel of these machines may have no netem, which would do it without us.
type cable struct {
	host, port *os.File // the devices, in the host and at the switch
	delay      atomic.Pointer[delay]
	closed     chan struct{}
	work       sync.WaitGroup
}

// delay is how long a packet takes: at least so long, and by chance up to jitter more.
type delay struct{ least, jitter time.Duration }

func (d *delay) draw() time.Duration {
	if d.jitter <= 0 {
		return d.least
	}
	return d.least + rand.N(d.jitter)
}

// newCable makes the host's eth0 and its port at the switch, and begins to carry.
func newCable(h *Host, ofSwitch *os.File) (*cable, error) {
	c := &cable{closed: make(chan struct{})}
	c.delay.Store(&delay{})
	err := inside(h.namespace, func() (err error) { c.host, err = newDevice("eth0"); return err })
	if err == nil {
		err = inside(ofSwitch, func() (err error) { c.port, err = newDevice(h.port); return err })
	}
	if err != nil {
		return nil, fmt.Errorf("make a slow cable to %s: %w", h.name, errors.Join(err, c.close()))
	}
	c.carry(c.host, c.port)
	c.carry(c.port, c.host)
	return c, nil
}

// newDevice makes a network device (TAP) in the namespace that the thread is in. It goes with the file.
func newDevice(name string) (*os.File, error) {
	const path = "/dev/net/tun"
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	request, err := unix.NewIfreq(name)
	if err == nil {
		request.SetUint16(unix.IFF_TAP | unix.IFF_NO_PI)
		err = unix.IoctlIfreq(fd, unix.TUNSETIFF, request)
	}
	if err != nil {
		_ = unix.Close(fd)
		return nil, fmt.Errorf("make network device %s: %w", name, err)
	}
	return os.NewFile(uintptr(fd), path), nil // not before the device is there: only then can it be waited for
}

// frame is one packet on its way.
type frame struct {
	bytes []byte
	due   time.Time
}

// carry moves packets in one direction, in their order, as a cable does: what would be overtaken waits.
func (c *cable) carry(from, to *os.File) {
	onTheWay := make(chan frame, cableHolds)
	c.work.Go(func() {
		defer close(onTheWay)
		var last time.Time
		for {
			buffer := make([]byte, frameSize)
			n, err := from.Read(buffer)
			if err != nil {
				return // closed
			}
			due := time.Now().Add(c.delay.Load().draw())
			if due.Before(last) {
				due = last
			}
			select {
			case onTheWay <- frame{buffer[:n], due}:
				last = due
			default:
			}
		}
	})
	c.work.Go(func() {
		for f := range onTheWay {
			if wait := time.Until(f.due); wait > 0 {
				select {
				case <-time.After(wait):
				case <-c.closed:
					return
				}
			}
			_, _ = to.Write(f.bytes) // where a plug is pulled it is lost
		}
	})
}

// close removes both devices and waits for what carries.
func (c *cable) close() error {
	close(c.closed)
	var failed error
	for _, device := range []*os.File{c.host, c.port} {
		if device != nil {
			failed = errors.Join(failed, device.Close())
		}
	}
	c.work.Wait()
	return failed
}

// Delay makes every packet that leaves or reaches the hosts take at least so long, and by chance up to jitter more; two zeros end it, as Heal
// does. A packet between two such hosts takes it twice. It takes a site with Options.SlowCables.
func (s *Site) Delay(least, jitter time.Duration, hosts ...*Host) error {
	for _, h := range hosts {
		switch {
		case h.network == nil:
			return fmt.Errorf("delay packets of %s: %w", h.name, ErrNeedsRoot)
		case h.cable == nil:
			return fmt.Errorf("delay packets of %s: %w", h.name, ErrFastCables)
		}
		h.cable.delay.Store(&delay{least, jitter})
	}
	return nil
}
