package hosts

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/arbiter-ha/arbiter/internal/clock"
)

const (
	// pipeGrace bounds how long the output of a process is awaited after its end, when an orphan holds its pipes.
	pipeGrace = 100 * time.Millisecond
	// killPatience is how long PowerOff and KillAll wait for killed processes to be gone. A process in an
	// uninterruptible wait for a disk can take long.
	killPatience = 10 * time.Second
)

// Host is one machine of a site.
type Host struct {
	name  string
	mark  string // unique name, in the environment of its processes
	dir   string
	addr4 netip.Addr
	addr6 netip.Addr
	ipv6  bool // addr6 is the one to use

	namespace *os.File         // nil at a loopback site
	port      string           // the host's port at the switch; "" at a loopback site
	network   *network         // nil at a loopback site
	cable     *cable           // nil unless it can be slow
	peers     map[string]*Host // by port, itself included; nil at a loopback site
	jail      jail
	thread    *thread
	waiters   sync.WaitGroup

	// power orders starts (shared) against changes of power (exclusive): no process slips in behind a PowerOff.
	power  sync.RWMutex
	off    bool
	frozen bool
	boot   []func(context.Context) error
	cut    []func()
	dead   []func() error
}

// Name is the host's name, unique in its site.
func (h *Host) Name() string { return h.name }

// Dir is the host's disk: a directory that survives PowerOff and is removed with the site.
func (h *Host) Dir() string { return h.dir }

// LogDir holds the output of the host's processes, a file each.
func (h *Host) LogDir() string { return filepath.Join(h.dir, "log") }

// Addr is the address that others reach the host by: the IPv4 one, or at a site that is asked for IPv6 that one.
func (h *Host) Addr() netip.Addr {
	if h.ipv6 {
		return h.addr6
	}
	return h.addr4
}

// Addr6 is the IPv6 address. At a loopback site all hosts share ::1.
func (h *Host) Addr6() netip.Addr { return h.addr6 }

// Isolated tells whether the host has a network of its own, which can be cut.
func (h *Host) Isolated() bool { return h.network != nil }

// FreePort returns the preferred TCP port if nobody listens on it at this host, otherwise one that is free now. On
// hosts with a network of their own the preferred one is always free at first.
func (h *Host) FreePort(preferred int) (int, error) {
	for _, port := range []int{preferred, 0} {
		listener, err := h.Listen("tcp", net.JoinHostPort(h.Addr().String(), strconv.Itoa(port)))
		if errors.Is(err, syscall.EADDRINUSE) && port != 0 {
			continue
		}
		if err != nil {
			return 0, fmt.Errorf("find a free port on %s: %w", h.name, err)
		}
		defer listener.Close()
		return listener.Addr().(*net.TCPAddr).Port, nil
	}
	return 0, fmt.Errorf("find a free port on %s: none", h.name)
}

// Dial connects from this host. The address must be numeric: there is no name service between hosts.
func (h *Host) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	h.power.RLock()
	err := h.usable()
	h.power.RUnlock()
	if err != nil && !errors.Is(err, ErrFrozen) {
		return nil, fmt.Errorf("dial %s from %s: %w", address, h.name, err)
	}
	dialer := net.Dialer{FallbackDelay: -1}
	if to, err := netip.ParseAddrPort(address); err == nil && h.namespace == nil && to.Addr().Is4() {
		dialer.LocalAddr = &net.TCPAddr{IP: h.addr4.AsSlice()}
	}
	var conn net.Conn
	err = inside(h.namespace, func() (err error) {
		conn, err = dialer.DialContext(ctx, network, address)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("dial from %s: %w", h.name, err)
	}
	return conn, nil
}

// Listen opens a socket on this host, served by the calling process. It is not a process of the host: it survives
// PowerOff, and only the network can take it away.
func (h *Host) Listen(network, address string) (net.Listener, error) {
	var listener net.Listener
	err := inside(h.namespace, func() (err error) {
		listener, err = net.Listen(network, address)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", h.name, err)
	}
	return listener, nil
}

// PIDs lists the living processes of the host, orphans included.
func (h *Host) PIDs() ([]int, error) { return h.jail.pids() }

// On tells whether the power is on.
func (h *Host) On() bool {
	h.power.RLock()
	defer h.power.RUnlock()
	return !h.off
}

// OnBoot adds a function that every PowerOn calls, in the order added: what the machine starts by itself.
func (h *Host) OnBoot(f func(context.Context) error) {
	h.power.Lock()
	defer h.power.Unlock()
	h.boot = append(h.boot, f)
}

// OnPowerCut adds a function that PowerOff calls right after it has sent the kill: it must free processes that wait
// for something that only the caller holds, such as a stalled disk.
func (h *Host) OnPowerCut(f func()) {
	h.power.Lock()
	defer h.power.Unlock()
	h.cut = append(h.cut, f)
}

// OnDeath adds a function that PowerOff, KillAll and the site's Close call when no process is left: it removes what
// killed processes leave in the kernel. It must not ask anything of the host.
func (h *Host) OnDeath(f func() error) {
	h.power.Lock()
	defer h.power.Unlock()
	h.dead = append(h.dead, f)
}

// PowerOff takes the power away: the network falls silent first (no connection is closed in good order), then every
// process dies. It returns nil only when no process is left. Off twice is harmless.
func (h *Host) PowerOff(ctx context.Context) error {
	h.power.Lock()
	defer h.power.Unlock()
	h.off, h.frozen = true, false
	if h.network != nil {
		if err := h.network.setLink(ctx, h.port, false); err != nil {
			return fmt.Errorf("power off %s: %w", h.name, err)
		}
	}
	if err := h.end(ctx, h.cut); err != nil {
		return fmt.Errorf("power off %s: %w", h.name, err)
	}
	return nil
}

// PowerOn brings the network back and runs what OnBoot added. On twice is harmless, and boots once.
func (h *Host) PowerOn(ctx context.Context) error {
	h.power.Lock()
	if !h.off {
		h.power.Unlock()
		return nil
	}
	if h.network != nil && !h.network.unplugged(h.port) {
		if err := h.network.setLink(ctx, h.port, true); err != nil {
			h.power.Unlock()
			return fmt.Errorf("power on %s: %w", h.name, err)
		}
	}
	h.off = false
	boot := append([]func(context.Context) error(nil), h.boot...)
	h.power.Unlock()
	for _, f := range boot {
		if err := f(ctx); err != nil {
			return fmt.Errorf("boot %s: %w", h.name, err)
		}
	}
	return nil
}

// KillAll kills every process of the host and waits until none is left. The kernel and the network stay, so peers
// see their connections reset: the crash of everything on a machine that is itself alive.
func (h *Host) KillAll(ctx context.Context) error {
	h.power.Lock()
	defer h.power.Unlock()
	h.frozen = false
	if err := h.end(ctx, h.cut); err != nil {
		return fmt.Errorf("kill everything on %s: %w", h.name, err)
	}
	return nil
}

// Freeze stops every process; nothing answers, connections stay open. Thaw lets them go on where they were.
func (h *Host) Freeze(ctx context.Context) error {
	h.power.Lock()
	defer h.power.Unlock()
	if h.off {
		return fmt.Errorf("freeze %s: %w", h.name, ErrOff)
	}
	h.frozen = true
	if err := h.jail.freeze(ctx, true); err != nil {
		return fmt.Errorf("freeze %s: %w", h.name, err)
	}
	return nil
}

// Thaw ends Freeze. A host that isn't frozen stays as it is.
func (h *Host) Thaw() error {
	h.power.Lock()
	defer h.power.Unlock()
	if !h.frozen {
		return nil
	}
	h.frozen = false
	if err := h.jail.freeze(context.Background(), false); err != nil {
		return fmt.Errorf("thaw %s: %w", h.name, err)
	}
	return nil
}

func (h *Host) usable() error {
	switch {
	case h.off:
		return ErrOff
	case h.frozen:
		return ErrFrozen
	default:
		return nil
	}
}

// end kills until nobody is left, frozen members too. Thawing afterwards lets the jail take new ones.
func (h *Host) end(ctx context.Context, after []func()) error {
	ctx, cancel := context.WithTimeout(ctx, killPatience)
	defer cancel()
	for round := 0; ; round++ {
		if err := h.jail.kill(); err != nil {
			return err
		}
		if round == 0 {
			for _, f := range after {
				f()
			}
		}
		pids, err := h.jail.pids()
		if err != nil {
			return err
		}
		if len(pids) == 0 {
			failed := h.jail.freeze(ctx, false)
			for _, f := range h.dead {
				failed = errors.Join(failed, f())
			}
			return failed
		}
		if err := clock.Pause(ctx, pollEvery); err != nil {
			return fmt.Errorf("%w: %v: %w", ErrSurvivors, pids, err)
		}
	}
}

// close ends the host for good.
func (h *Host) close(ctx context.Context) error {
	h.power.Lock()
	h.off = true
	failed := h.end(ctx, h.cut)
	h.power.Unlock()
	h.thread.end()
	h.waiters.Wait()
	failed = errors.Join(failed, h.jail.remove())
	if h.cable != nil {
		failed = errors.Join(failed, h.cable.close())
	}
	if h.namespace != nil {
		failed = errors.Join(failed, h.namespace.Close())
	}
	return failed
}
