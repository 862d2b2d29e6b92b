package virtual

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"time"
)

var (
	errRefused = errors.New("connection refused")
	errReset   = errors.New("connection reset by peer")
)

// Network joins hosts by connections in memory, with a link for each direction between two of them. What travels on a link arrives in its
// order after the link's delay; on a link that is cut it waits, and arrives late when the cut ends, as what TCP sends again.
type Network struct {
	mu        sync.Mutex
	dice      *rand.Rand
	links     map[route]*link
	listeners map[string]*listener // by host:port
	dark      map[string]bool      // hosts without power: they don't even refuse
	ends      map[*end]struct{}
	changed   chan struct{} // closed and replaced when a link or a host changed
}

// route is a direction between two hosts.
type route struct{ from, to string }

type link struct {
	cut    bool
	delay  time.Duration
	jitter time.Duration
}

// usual is a link in one building.
const (
	usualDelay  = 200 * time.Microsecond
	usualJitter = 800 * time.Microsecond
)

// NewNetwork returns a network in which all is well. Chance comes from the dice.
func NewNetwork(dice *rand.Rand) *Network {
	return &Network{
		dice: dice, links: map[route]*link{}, listeners: map[string]*listener{}, dark: map[string]bool{}, ends: map[*end]struct{}{},
		changed: make(chan struct{}),
	}
}

// Cut lets nothing pass from one host to another. The other direction is another link.
func (n *Network) Cut(from, to string) { n.change(from, to, func(l *link) { l.cut = true }) }

// Delay makes a link slow.
func (n *Network) Delay(from, to string, delay, jitter time.Duration) {
	n.change(from, to, func(l *link) { l.delay, l.jitter = delay, jitter })
}

// Mend makes a link what it was.
func (n *Network) Mend(from, to string) { n.change(from, to, func(l *link) { *l = usualLink() }) }

// Heal mends all links, and what is sent from now on over any connection takes its usual time.
func (n *Network) Heal() {
	n.mu.Lock()
	clear(n.links)
	n.announce()
	ends := slices.Collect(maps.Keys(n.ends))
	n.mu.Unlock()
	for _, e := range ends {
		for _, s := range []*stream{e.in, e.out} {
			s.stall(0)
			s.enqueue(nil)
		}
	}
}

func usualLink() link { return link{delay: usualDelay, jitter: usualJitter} }

func (n *Network) change(from, to string, how func(*link)) {
	n.mu.Lock()
	defer n.mu.Unlock()
	at := route{from, to}
	if n.links[at] == nil {
		l := usualLink()
		n.links[at] = &l
	}
	how(n.links[at])
	n.announce()
}

// announce wakes all who wait for something to pass. The caller holds the lock.
func (n *Network) announce() {
	close(n.changed)
	n.changed = make(chan struct{})
}

// look returns a link as it is, and what closes when it may be another. The caller need not hold the lock.
func (n *Network) look(from, to string) (link, <-chan struct{}) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if l := n.links[route{from, to}]; l != nil {
		return *l, n.changed
	}
	return usualLink(), n.changed
}

// Passes says whether anything passes from one host to another and back.
func (n *Network) Passes(from, to string) bool {
	there, _ := n.look(from, to)
	back, _ := n.look(to, from)
	return !there.cut && !back.cut
}

// travel is how long something takes on a link now.
func (n *Network) travel(from, to string) time.Duration {
	l, _ := n.look(from, to)
	if l.jitter == 0 {
		return l.delay
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	return l.delay + time.Duration(n.dice.Int64N(int64(l.jitter)))
}

// PowerOn lets a host answer again, by refusing at least. Connections from before are known to nobody there.
func (n *Network) PowerOn(host string) {
	n.mu.Lock()
	n.dark[host] = false
	var orphans []*end
	for e := range n.ends {
		if e.there == host && e.out.abandoned() {
			orphans = append(orphans, e)
		}
	}
	n.announce()
	n.mu.Unlock()
	for _, e := range orphans {
		e.in.breakOff(errReset)
	}
}

// Stall makes what a host sends over the connections that it has made to another one arrive so much later, as where a router has moved
// their path. New connections take another path.
func (n *Network) Stall(from, to string, late time.Duration) {
	for _, e := range n.dialled(from, to) {
		e.out.stall(late)
	}
}

// Spread makes what comes back to a host, over the connections that it has made to some addresses, come late: the first answer after half a
// step, every other one a step after the one before, so that an answer to something old comes at every step. How many come depends on how
// many questions are under way. What is sent after the returned function was called takes its usual time.
func (n *Network) Spread(from string, step time.Duration, to ...string) (end func()) {
	var streams []*stream
	n.mu.Lock()
	for e := range n.ends {
		if e.dialled && e.here == from && slices.Contains(to, string(e.remote)) {
			streams = append(streams, e.in)
		}
	}
	n.mu.Unlock()
	all := func(q *queue) {
		for _, s := range streams {
			s.enqueue(q)
		}
	}
	all(&queue{next: time.Now().Add(step / 2), step: step})
	return func() { all(nil) }
}

// Reset breaks all connections that a host has made to another one. The host sees that at once; what it had sent arrives all the same, and
// new connections may have been made by then.
func (n *Network) Reset(from, to string) {
	for _, e := range n.dialled(from, to) {
		e.abort(false)
	}
}

func (n *Network) dialled(from, to string) []*end {
	n.mu.Lock()
	defer n.mu.Unlock()
	var ends []*end
	for e := range n.ends {
		if e.dialled && e.here == from && e.there == to {
			ends = append(ends, e)
		}
	}
	return ends
}

// Host is the way to the network of a process on a host. Every life of one has its own.
func (n *Network) Host(name string) *Host { return &Host{network: n, name: name} }

// Host implements arbiter.Network.
type Host struct {
	network *Network
	name    string
	gone    bool // guarded by the network's lock
}

// Kill ends everything that the process has: its listeners and connections, and its way to new ones. Its peers hear of it, unless the whole
// machine goes dark. What was sent before is under way and arrives.
func (h *Host) Kill(dark bool) {
	n := h.network
	n.mu.Lock()
	h.gone, n.dark[h.name] = true, dark
	var ends []*end
	for e := range n.ends {
		if e.here == h.name {
			ends = append(ends, e)
		}
	}
	var gone []*listener
	for _, l := range n.listeners {
		if l.host == h.name {
			gone = append(gone, l)
		}
	}
	n.announce()
	n.mu.Unlock()
	for _, l := range gone {
		_ = l.Close() // it has no way to fail
	}
	for _, e := range ends {
		e.abort(dark)
	}
}

// Listen implements arbiter.Network.
func (h *Host) Listen(at string) (net.Listener, error) {
	n := h.network
	n.mu.Lock()
	defer n.mu.Unlock()
	if h.gone {
		return nil, fmt.Errorf("listen on %s: %w", at, errGone)
	}
	if n.listeners[at] != nil {
		return nil, fmt.Errorf("listen on %s: address already in use", at)
	}
	l := &listener{network: n, host: h.name, at: address(at), accepted: make(chan *end, 64), closed: make(chan struct{})}
	n.listeners[at] = l
	return l, nil
}

// patience is how often a request for a connection is sent again.
const patience = 200 * time.Millisecond

// DialContext implements arbiter.Network.
func (h *Host) DialContext(ctx context.Context, at string) (net.Conn, error) {
	n := h.network
	to, _, err := net.SplitHostPort(at)
	if err != nil {
		return nil, err
	}
	for {
		wait, passes := patience, n.Passes(h.name, to) && !n.isDark(to)
		if passes {
			wait = n.travel(h.name, to) + n.travel(to, h.name)
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return nil, fmt.Errorf("connect to %s: %w", at, context.Cause(ctx))
		}
		if passes {
			return h.join(to, at)
		}
	}
}

func (n *Network) isDark(host string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.dark[host]
}

// join makes a connection, if somebody listens.
func (h *Host) join(to, at string) (net.Conn, error) {
	n, from := h.network, h.name
	n.mu.Lock()
	defer n.mu.Unlock()
	if h.gone {
		return nil, fmt.Errorf("connect to %s: %w", at, errGone)
	}
	l := n.listeners[at]
	if l == nil || len(l.accepted) == cap(l.accepted) {
		return nil, fmt.Errorf("connect to %s: %w", at, errRefused)
	}
	there, back := newStream(n, from, to), newStream(n, to, from)
	caller := &end{network: n, here: from, there: to, dialled: true, in: back, out: there, local: address(from + ":0"), remote: address(at)}
	called := &end{network: n, here: to, there: from, in: there, out: back, local: address(at), remote: address(from + ":0")}
	n.ends[caller], n.ends[called] = struct{}{}, struct{}{}
	l.accepted <- called
	return caller, nil
}

type listener struct {
	network  *Network
	host     string
	at       address
	accepted chan *end
	closed   chan struct{}
	once     sync.Once
}

// Accept implements net.Listener.
func (l *listener) Accept() (net.Conn, error) {
	select {
	case e := <-l.accepted:
		return e, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (l *listener) Close() error {
	l.once.Do(func() {
		l.network.mu.Lock()
		if l.network.listeners[string(l.at)] == l {
			delete(l.network.listeners, string(l.at))
		}
		l.network.mu.Unlock()
		close(l.closed)
		for {
			select {
			case e := <-l.accepted:
				e.abort(false)
			default:
				return
			}
		}
	})
	return nil
}

// Addr implements net.Listener.
func (l *listener) Addr() net.Addr { return l.at }

// address is a host:port.
type address string

func (address) Network() string  { return "virtual" }
func (a address) String() string { return string(a) }
