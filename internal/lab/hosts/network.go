package hosts

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"

	"github.com/arbiter-ha/arbiter/internal/clock"
)

// bridgeName is the switch itself, inside the switch's namespace.
const bridgeName = "br0"

// network is the switch that the hosts of a site are plugged into, and the faults that it makes. The faults are
// values here; each change renders all of them anew and replaces the packet filter's table in one transaction.
type network struct {
	namespace *os.File // of the switch

	mu        sync.Mutex
	pulled    map[string]bool  // ports whose plug is pulled
	dropped   map[path]bool    // nothing passes
	refused   map[path]*Host   // TCP is answered with a reset by the receiving host
	lossy     map[string]int   // lost packets in 10,000, by port
	closed    map[*Host]bool   // TCP connections that the host begins go nowhere
	filtering map[*Host]string // rules in force inside a host
}

// path is one direction between two ports.
type path struct{ from, to string }

func newNetwork(namespace *os.File) *network {
	return &network{
		namespace: namespace,
		pulled:    map[string]bool{},
		dropped:   map[path]bool{},
		refused:   map[path]*Host{},
		lossy:     map[string]int{},
		closed:    map[*Host]bool{},
		filtering: map[*Host]string{},
	}
}

// setLink plugs a port in or out at the switch. The host keeps its addresses and sees its cable go.
func (n *network) setLink(ctx context.Context, port string, up bool) error {
	if !up {
		_, err := runInside(ctx, n.namespace, "", "ip", "link", "set", port, "down")
		return err
	}
	if _, err := runInside(ctx, n.namespace, "", "ip", "link", "set", port, "up"); err != nil {
		return err
	}
	return n.awaitForwarding(ctx, port)
}

// awaitForwarding waits until the switch passes packets of all these ports. The kernel tells it of a plugged cable
// from a worker of its own, up to a second late, and what is sent before is lost.
func (n *network) awaitForwarding(ctx context.Context, ports ...string) error {
	for {
		output, err := runInside(ctx, n.namespace, "", "bridge", "link", "show")
		if err != nil {
			return err
		}
		missing := ""
		for _, port := range ports {
			if !strings.Contains(portLine(output, port), " state forwarding ") {
				missing = port
			}
		}
		if missing == "" {
			return nil
		}
		if err := clock.Pause(ctx, pollEvery); err != nil {
			return fmt.Errorf("wait for port %s of the switch: %w", missing, err)
		}
	}
}

// portLine finds the line "7: p11@br0: <...> ..." of one port, or "7: p11: <...> ..." with a slow cable.
func portLine(output, port string) string {
	for line := range strings.Lines(output) {
		if strings.Contains(line, " "+port+"@") || strings.Contains(line, " "+port+": ") {
			return line
		}
	}
	return ""
}

func (n *network) unplugged(port string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.pulled[port]
}

// change edits the faults and puts them in force.
func (n *network) change(ctx context.Context, edit func()) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	edit()
	_, failed := runInside(ctx, n.namespace, n.switchRules(), "nft", "-f", "-")
	for host, rules := range n.hostRules() {
		if n.filtering[host] == rules {
			continue
		}
		if _, err := runInside(ctx, host.namespace, rules, "nft", "-f", "-"); err != nil {
			failed = errors.Join(failed, err)
			continue
		}
		n.filtering[host] = rules
	}
	return failed
}

// switchRules renders drops and losses for the switch.
func (n *network) switchRules() string {
	var b strings.Builder
	b.WriteString("add table bridge lab\ndelete table bridge lab\ntable bridge lab {\n chain pass {\n")
	b.WriteString("  type filter hook forward priority 0; policy accept;\n")
	for _, p := range slices.SortedFunc(maps.Keys(n.dropped), comparePaths) {
		fmt.Fprintf(&b, "  iifname %q oifname %q drop\n", p.from, p.to)
	}
	for _, port := range slices.Sorted(maps.Keys(n.lossy)) {
		dice := fmt.Sprintf("numgen random mod 10000 < %d ", n.lossy[port])
		if n.lossy[port] >= 10000 {
			dice = ""
		}
		for _, side := range []string{"iifname", "oifname"} {
			fmt.Fprintf(&b, "  %s %q %sdrop\n", side, port, dice)
		}
	}
	b.WriteString(" }\n}\n")
	return b.String()
}

// hostRules renders what is filtered inside hosts: refusals, by the host that refuses (the switch can't refuse by itself: its packet
// filter has no reject), and connections that a host begins. A host that filtered before and no longer does gets an empty table.
func (n *network) hostRules() map[*Host]string {
	receive, send := map[*Host]string{}, map[*Host]string{}
	sources := map[*Host][]string{}
	for p, host := range n.refused {
		sources[host] = append(sources[host], p.from)
	}
	for host, ports := range sources {
		slices.Sort(ports)
		for _, port := range ports {
			peer := host.peers[port]
			receive[host] += fmt.Sprintf("  ip saddr %s meta l4proto tcp reject with tcp reset\n", peer.addr4) +
				fmt.Sprintf("  ip6 saddr %s meta l4proto tcp reject with tcp reset\n", peer.addr6)
		}
	}
	for host := range n.closed {
		send[host] = "  oifname != \"lo\" tcp flags & (syn | ack) == syn drop\n"
	}
	rules := map[*Host]string{}
	for _, hosts := range []iter.Seq[*Host]{maps.Keys(n.filtering), maps.Keys(receive), maps.Keys(send)} {
		for host := range hosts {
			rules[host] = "add table inet lab\ndelete table inet lab\ntable inet lab {\n" +
				" chain receive {\n  type filter hook input priority 0; policy accept;\n" + receive[host] + " }\n" +
				" chain send {\n  type filter hook output priority 0; policy accept;\n" + send[host] + " }\n}\n"
		}
	}
	return rules
}

func comparePaths(a, b path) int {
	return strings.Compare(a.from+" "+a.to, b.from+" "+b.to)
}

// Unplug pulls the host's network cable: nothing reaches it and nothing leaves it, and no connection is closed.
func (h *Host) Unplug(ctx context.Context) error { return h.plug(ctx, true) }

// Plug puts the cable back. A host without power stays silent until it is on.
func (h *Host) Plug(ctx context.Context) error { return h.plug(ctx, false) }

func (h *Host) plug(ctx context.Context, out bool) error {
	if h.network == nil {
		return fmt.Errorf("unplug %s: %w", h.name, ErrNeedsRoot)
	}
	h.power.RLock()
	defer h.power.RUnlock()
	h.network.mu.Lock()
	h.network.pulled[h.port] = out
	h.network.mu.Unlock()
	if h.off {
		return nil
	}
	if err := h.network.setLink(ctx, h.port, !out); err != nil {
		return fmt.Errorf("unplug %s: %w", h.name, err)
	}
	return nil
}

// narrowBurst and narrowWait bound the queue of a narrow cable: what would wait for longer is lost.
const narrowBurst, narrowWait = "4kb", "1s"

// Narrow makes the host's cable so narrow that it takes only so many bytes per second from the host; what is more waits,
// and disappears when it would wait too long. 0 ends it.
func (h *Host) Narrow(ctx context.Context, bytesPerSecond int) error {
	if h.network == nil {
		return fmt.Errorf("narrow the cable of %s: %w", h.name, ErrNeedsRoot)
	}
	args := []string{"qdisc", "replace", "dev", "eth0", "root"}
	if bytesPerSecond > 0 {
		args = append(args, "tbf", "rate", fmt.Sprintf("%dbps", bytesPerSecond), "burst", narrowBurst, "latency", narrowWait)
	} else {
		args = append(args, "noqueue")
	}
	if _, err := runInside(ctx, h.namespace, "", "tc", args...); err != nil {
		return fmt.Errorf("narrow the cable of %s: %w", h.name, err)
	}
	return nil
}

// Drop makes everything that from sends to to disappear; the other direction still works.
func (s *Site) Drop(ctx context.Context, from, to *Host) error {
	return s.change(ctx, func(n *network) { n.dropped[path{from.port, to.port}] = true })
}

// Separate drops everything between the two sides, in both directions.
func (s *Site) Separate(ctx context.Context, left, right []*Host) error {
	return s.change(ctx, func(n *network) {
		for _, a := range left {
			for _, b := range right {
				n.dropped[path{a.port, b.port}] = true
				n.dropped[path{b.port, a.port}] = true
			}
		}
	})
}

// Direction is what one host sends to another one.
type Direction struct{ From, To *Host }

// DropOnly makes what is sent in these directions disappear, and nothing else: it takes the place of every Drop and
// Separate before it.
func (s *Site) DropOnly(ctx context.Context, directions []Direction) error {
	return s.change(ctx, func(n *network) {
		clear(n.dropped)
		for _, d := range directions {
			n.dropped[path{d.From.port, d.To.port}] = true
		}
	})
}

// Refuse makes host to answer every TCP packet of from with a reset, open connections included.
func (s *Site) Refuse(ctx context.Context, from, to *Host) error {
	return s.change(ctx, func(n *network) { n.refused[path{from.port, to.port}] = to })
}

// Lose makes each packet to or from the hosts disappear with the given chance in 10,000; 0 ends it.
func (s *Site) Lose(ctx context.Context, chance int, hosts ...*Host) error {
	return s.change(ctx, func(n *network) {
		for _, h := range hosts {
			if n.lossy[h.port] = chance; chance <= 0 {
				delete(n.lossy, h.port)
			}
		}
	})
}

// CloseOff makes every TCP connection that a host begins with another one go without an answer; open ones go on, and others reach
// the host. So it is with a full table of connections, or a firewall that is too strict. Heal ends it.
func (s *Site) CloseOff(ctx context.Context, h *Host) error {
	return s.change(ctx, func(n *network) { n.closed[h] = true })
}

// Join ends Drop, Separate and Refuse between the two hosts, in both directions.
func (s *Site) Join(ctx context.Context, a, b *Host) error {
	return s.change(ctx, func(n *network) {
		for _, p := range []path{{a.port, b.port}, {b.port, a.port}} {
			delete(n.dropped, p)
			delete(n.refused, p)
		}
	})
}

// Heal ends every network fault of the site, pulled plugs included.
func (s *Site) Heal(ctx context.Context) error {
	if s.network == nil {
		return nil
	}
	failed := s.change(ctx, func(n *network) {
		clear(n.dropped)
		clear(n.refused)
		clear(n.lossy)
		clear(n.closed)
	})
	for _, h := range s.hosts {
		if h.network.unplugged(h.port) {
			failed = errors.Join(failed, h.Plug(ctx))
		}
		if h.cable != nil {
			failed = errors.Join(failed, s.Delay(0, 0, h))
		}
	}
	return failed
}

func (s *Site) change(ctx context.Context, edit func(*network)) error {
	if s.network == nil {
		return ErrNeedsRoot
	}
	if err := s.network.change(ctx, func() { edit(s.network) }); err != nil {
		return fmt.Errorf("change network: %w", err)
	}
	return nil
}

// runInside runs a system tool in the namespace and returns its output; nil means the caller's namespace.
func runInside(ctx context.Context, namespace *os.File, stdin, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Stdin = strings.NewReader(stdin)
	var output []byte
	err := inside(namespace, func() (err error) {
		output, err = cmd.CombinedOutput()
		return err
	})
	if err != nil {
		return "", fmt.Errorf("run %s %s: %w: %s", name, strings.Join(args, " "), err, strings.TrimSpace(string(output)))
	}
	return string(output), nil
}
