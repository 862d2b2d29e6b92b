package hosts

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// Kind says what the hosts of a site are made of.
type Kind string

const (
	// Automatic takes namespaces where they can be had, otherwise loopback addresses.
	Automatic Kind = ""
	// Namespaces gives each host a network of its own; needs root.
	Namespaces Kind = "namespaces"
	// Loopback gives each host an address of 127.0.0.0/8.
	Loopback Kind = "loopback"
)

// Options describe a site.
type Options struct {
	Kind Kind
	// Names of the hosts, in the order of their addresses; at most 200.
	Names []string
	// Dir is where the site's directory is made; the system's temporary directory by default. Keep it short: paths of
	// Unix sockets below it must fit 107 bytes.
	Dir string
	// IPv6 makes the IPv6 address of a host the one that others use; with Namespaces only.
	IPv6 bool
	// SlowCables makes the cables such that Delay can slow them down. Each packet then passes through this process, which costs time also
	// without a delay; and a host doesn't notice that its plug is pulled, it only hears nothing. Ignored at a loopback site.
	SlowCables bool
	// WithoutCgroups finds processes through /proc even where control groups can be made.
	WithoutCgroups bool
}

// Site is a set of hosts that see each other.
type Site struct {
	kind    Kind
	record  record
	hosts   []*Host
	network *network // nil at a loopback site
}

// firstHostNumber is the last byte of the first host's address.
const firstHostNumber = 11

// Open removes what crashed labs left behind and makes the hosts. On failure nothing is left.
func Open(ctx context.Context, options Options) (*Site, error) {
	if len(options.Names) > 200 {
		return nil, fmt.Errorf("open site: %d hosts do not fit a network of 200", len(options.Names))
	}
	if _, err := Sweep(ctx); err != nil {
		return nil, fmt.Errorf("open site: %w", err)
	}
	s := &Site{kind: options.Kind}
	if s.kind == Automatic {
		s.kind = bestKind()
	}
	if options.IPv6 && s.kind != Namespaces {
		return nil, fmt.Errorf("open site over IPv6: %w", ErrNeedsRoot)
	}
	if err := s.build(ctx, options); err != nil {
		return nil, errors.Join(fmt.Errorf("open site: %w", err), s.Close())
	}
	return s, nil
}

// bestKind tries what namespaces need: root, and the tools ip, bridge and nft.
func bestKind() Kind {
	if os.Geteuid() != 0 {
		return Loopback
	}
	for _, tool := range []string{"ip", "bridge", "nft"} {
		if _, err := exec.LookPath(tool); err != nil {
			return Loopback
		}
	}
	trial := fmt.Sprintf("arbtrial-%d", os.Getpid())
	if exec.Command("ip", "netns", "add", trial).Run() != nil {
		return Loopback
	}
	if exec.Command("ip", "netns", "del", trial).Run() != nil {
		return Loopback
	}
	return Namespaces
}

func (s *Site) build(ctx context.Context, options Options) error {
	seed, err := s.claim(options)
	if err != nil {
		return err
	}
	if err := s.prepare(); err != nil {
		return err
	}
	for i, name := range options.Names {
		h, err := s.newHost(name, i+firstHostNumber, seed, options.IPv6)
		if err != nil {
			return err
		}
		s.hosts = append(s.hosts, h)
	}
	if s.kind == Namespaces {
		if err := s.wire(ctx, options.SlowCables); err != nil {
			return err
		}
	}
	for _, h := range s.hosts {
		if err := s.inhabit(h); err != nil {
			return err
		}
	}
	return nil
}

// claim takes an id that nobody uses and puts the names of everything to come on record before any of it exists. The
// two bytes of the id are also the site's part of every address.
func (s *Site) claim(options Options) (seed [2]byte, err error) {
	dir := options.Dir
	if dir == "" {
		dir = os.TempDir()
	}
	groups := ""
	if !options.WithoutCgroups {
		groups = findCgroupRoot()
	}
	for {
		if _, err := rand.Read(seed[:]); err != nil {
			return seed, fmt.Errorf("choose an id: %w", err)
		}
		r := record{Owner: os.Getpid(), ID: fmt.Sprintf("arb%02x%02x", seed[0], seed[1]), Made: time.Now()}
		r.Dir = filepath.Join(dir, r.ID)
		if _, err := os.Lstat(r.Dir); err == nil {
			continue
		}
		if groups != "" {
			r.Cgroup = filepath.Join(groups, r.ID)
		}
		if s.kind == Namespaces {
			r.Namespaces = append(r.Namespaces, r.ID)
			for _, name := range options.Names {
				r.Namespaces = append(r.Namespaces, r.ID+"-"+name)
			}
		}
		if err := r.write(); errors.Is(err, os.ErrExist) {
			continue
		} else if err != nil {
			return seed, err
		}
		s.record = r
		return seed, nil
	}
}

// prepare makes the directory and the control group above those of the hosts.
func (s *Site) prepare() error {
	if err := makeOpen(s.record.Dir); err != nil {
		return fmt.Errorf("make site directory: %w", err)
	}
	if s.record.Cgroup == "" {
		return nil
	}
	if err := os.Mkdir(s.record.Cgroup, 0o755); err != nil {
		return fmt.Errorf("make control group: %w", err)
	}
	return nil
}

// makeOpen makes a directory that the accounts of servers get through, whatever the umask says.
func makeOpen(dir string) error { return errors.Join(os.Mkdir(dir, 0o755), os.Chmod(dir, 0o755)) }

func (s *Site) newHost(name string, number int, seed [2]byte, ipv6 bool) (*Host, error) {
	h := &Host{
		name:  name,
		mark:  s.record.ID + "/" + name + "/",
		dir:   filepath.Join(s.record.Dir, name),
		addr4: netip.AddrFrom4([4]byte{127, seed[0], seed[1], byte(number)}),
		addr6: netip.IPv6Loopback(),
		ipv6:  ipv6,
	}
	if s.kind == Namespaces {
		h.port = fmt.Sprintf("p%d", number)
		h.addr4 = netip.AddrFrom4([4]byte{10, seed[0], seed[1], byte(number)})
		h.addr6 = netip.AddrFrom16([16]byte{0: 0xfd, 6: seed[0], 7: seed[1], 15: byte(number)})
	}
	if err := errors.Join(makeOpen(h.dir), makeOpen(h.LogDir())); err != nil {
		return nil, fmt.Errorf("make directory of host %s: %w", name, err)
	}
	return h, nil
}

// wire makes the namespaces, the switch and the cables between them, with one run of ip per namespace.
func (s *Site) wire(ctx context.Context, slow bool) error {
	var spaces, cables, plugs strings.Builder
	var ports []string
	for _, name := range s.record.Namespaces {
		fmt.Fprintf(&spaces, "netns add %s\n", name)
	}
	fmt.Fprintf(&cables, "link add %s type bridge mcast_snooping 0\nlink set %s up\nlink set lo up\n", bridgeName, bridgeName)
	for _, h := range s.hosts {
		if !slow {
			fmt.Fprintf(&cables, "link add %s type veth peer name eth0 netns %s-%s\n", h.port, s.record.ID, h.name)
		}
		fmt.Fprintf(&plugs, "link set %s master %s up\n", h.port, bridgeName)
		ports = append(ports, h.port)
	}
	if _, err := runInside(ctx, nil, spaces.String(), "ip", "-batch", "-"); err != nil {
		return fmt.Errorf("make network namespaces: %w", err)
	}
	namespace, err := os.Open(namespacePath(s.record.ID))
	if err != nil {
		return fmt.Errorf("open namespace of the switch: %w", err)
	}
	s.network = newNetwork(namespace)
	if _, err := runInside(ctx, namespace, cables.String(), "ip", "-batch", "-"); err != nil {
		return fmt.Errorf("wire hosts to the switch: %w", err)
	}
	for _, h := range s.hosts {
		if err := s.attach(ctx, h, slow); err != nil {
			return err
		}
	}
	if _, err := runInside(ctx, namespace, plugs.String(), "ip", "-batch", "-"); err != nil {
		return fmt.Errorf("plug hosts into the switch: %w", err)
	}
	return s.network.awaitForwarding(ctx, ports...)
}

// attach gives the host its end of a slow cable, and its addresses. Duplicate address detection would keep the IPv6 address unusable for a second.
func (s *Site) attach(ctx context.Context, h *Host, slow bool) error {
	namespace, err := os.Open(namespacePath(s.record.ID + "-" + h.name))
	if err != nil {
		return fmt.Errorf("open namespace of host %s: %w", h.name, err)
	}
	h.namespace, h.network = namespace, s.network
	if slow {
		if h.cable, err = newCable(h, s.network.namespace); err != nil {
			return err
		}
	}
	h.peers = map[string]*Host{}
	for _, peer := range s.hosts {
		h.peers[peer.port] = peer
	}
	script := fmt.Sprintf("addr add %s/24 dev eth0\naddr add %s/64 dev eth0 nodad\nlink set lo up\nlink set eth0 up\n", h.addr4, h.addr6)
	if _, err := runInside(ctx, namespace, script, "ip", "-batch", "-"); err != nil {
		return fmt.Errorf("give addresses to host %s: %w", h.name, err)
	}
	return nil
}

// inhabit gives the host the means to run processes.
func (s *Site) inhabit(h *Host) error {
	var err error
	switch {
	case s.record.Cgroup != "":
		h.jail, err = newCgroup(filepath.Join(s.record.Cgroup, h.name))
	case h.namespace != nil:
		belongs, failed := inNamespace(h.namespace)
		h.jail, err = &scan{belongs: belongs}, failed
	default:
		h.jail = &scan{belongs: inDirectory(h.dir, h.mark)}
	}
	if err != nil {
		h.jail = nil
		return fmt.Errorf("make jail of host %s: %w", h.name, err)
	}
	h.thread, err = newThread(h.namespace)
	return err
}

// Kind tells what the hosts are made of: Namespaces or Loopback.
func (s *Site) Kind() Kind { return s.kind }

// ID is unique on this machine and begins the names of the site's namespaces: that of a host is ID-NAME.
func (s *Site) ID() string { return s.record.ID }

// Dir is a directory for what belongs to no host. It is removed with the site.
func (s *Site) Dir() string { return s.record.Dir }

// Hosts are all hosts in the order of Options.Names.
func (s *Site) Hosts() []*Host { return s.hosts }

// Host returns the host of that name, or nil.
func (s *Site) Host(name string) *Host {
	for _, h := range s.hosts {
		if h.name == name {
			return h
		}
	}
	return nil
}

// Close ends every process, removes every namespace, group, disk and file, and returns what it could not remove. The next
// Open tries that again. Close twice is harmless.
func (s *Site) Close() error {
	if s.record.file == nil {
		return nil
	}
	ctx := context.Background()
	failed := s.record.thawDisks()
	for _, h := range s.hosts {
		if h.thread != nil {
			failed = errors.Join(failed, h.close(ctx))
		}
	}
	if s.network != nil {
		failed = errors.Join(failed, s.network.namespace.Close())
	}
	failed = errors.Join(failed, s.record.remove(ctx))
	if failed == nil {
		failed = s.record.forget()
	} else {
		failed = errors.Join(fmt.Errorf("close site %s: %w: %w", s.record.ID, ErrRemains, failed), s.record.file.Close())
	}
	s.record.file = nil
	return failed
}
