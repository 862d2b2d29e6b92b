package lab

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/arbiter-ha/arbiter/internal/lab/builtin"
	"github.com/arbiter-ha/arbiter/internal/lab/database"
	"github.com/arbiter-ha/arbiter/internal/lab/forward"
	"github.com/arbiter-ha/arbiter/internal/lab/haproxy"
	"github.com/arbiter-ha/arbiter/internal/lab/hosts"
	"github.com/arbiter-ha/arbiter/internal/lab/power"
	"github.com/arbiter-ha/arbiter/internal/lab/traffic"
)

// Names of the hosts that every lab has beside arbiters and members.
const (
	ProxyHost  = "lb"
	ClientHost = "client"
	PowerHost  = "power"
)

// Backend is the name of the group's backend at HAProxy.
const Backend = "orders"

// Options describe a lab. Zero values have defaults.
type Options struct {
	// Kind of the hosts; namespaces where they can be had.
	Kind hosts.Kind
	// IPv6 gives everybody IPv6 addresses alone to call each other by; needs namespaces.
	IPv6 bool
	// Service is what the group is made of; PostgreSQL by default.
	Service Service
	// BuiltinRouter takes the laboratory's own router instead of HAProxy.
	BuiltinRouter bool
	// Arbiters is how many there are; 3.
	Arbiters int
	// Standbys is how many the group has; 2. The first is synchronous.
	Standbys int
	// Asynchronous makes all standbys asynchronous.
	Asynchronous bool
	// SyncStandbys replaces the primary's synchronous_standby_names, for example ANY 1 ("pg-b", "pg-c").
	SyncStandbys string
	// Groups is how many groups there are servers for; 1. Each group of databases has servers on hosts of their own; the built-in service
	// has a member of every group in each of its processes.
	Groups int
	// SlowCables makes hosts whose packets can be delayed: hosts.Options.SlowCables.
	SlowCables bool
	// Settings go into every server's configuration.
	Settings map[string]string
	// Template of the databases, for labs that share one; otherwise the lab makes its own.
	Template *database.Template
	// Binaries is the directory of arbiterd, arbiterctl, fence_lab and the others; that of the running program by default.
	Binaries string
	// Dir is where the lab's directory is made; the system's temporary directory by default.
	Dir string
}

// Lab is one deployment.
type Lab struct {
	// Site has the hosts: one per arbiter and member, and ProxyHost, ClientHost and PowerHost.
	Site *hosts.Site
	// Power feeds the members' hosts.
	Power *power.Switch
	// Template is what the databases were copied from; it knows the passwords. Nil without PostgreSQL.
	Template *database.Template
	// Members are the databases, if the service is PostgreSQL, those of one group after those of another. The first of a group began as
	// its primary. See Services.
	Members []*database.Server
	// Builtin are the members if the service is the laboratory's own.
	Builtin []*builtin.Server
	// Proxy is what clients connect to; nil with the laboratory's own router. See RoutedAddress.
	Proxy *haproxy.Proxy
	// Arbiters are not started by Open; see StartArbiters.
	Arbiters []*Arbiter
	// Serving is how long the arbiters took from the start of the first to a leader that answers, once StartArbiters has returned.
	Serving time.Duration

	options   Options
	router    *forward.Router // nil with HAProxy
	programs  string          // directory of the router's program
	powerPort int
	writers   int
	stop      []func()
}

// Open makes hosts, power switch, databases and the proxy, and waits until all standbys stream. Nothing is left when it
// fails.
func Open(ctx context.Context, options Options) (*Lab, error) {
	if options.Arbiters == 0 {
		options.Arbiters = 3
	}
	if options.Standbys == 0 {
		options.Standbys = 2
	}
	if options.Service == "" {
		options.Service = PostgreSQL
	}
	options.Groups = max(options.Groups, 1)
	l := &Lab{options: options, Template: options.Template}
	if err := l.build(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("open lab: %w", err), l.Close())
	}
	return l, nil
}

// MemberName is the name of the member of that number: pg-a, pg-b, ..., pg-z, pg-aa, ...
func MemberName(number int) string { return "pg-" + letters(number) }

func letters(number int) string {
	last := string(rune('a' + number%26))
	if number < 26 {
		return last
	}
	return letters(number/26-1) + last
}

// ArbiterName is the name of the arbiter, and of its zone, of that number: az-a, az-b, ...
func ArbiterName(number int) string { return "az-" + string(rune('a'+number)) }

func (l *Lab) build(ctx context.Context) error {
	var names []string
	for i := range l.options.Arbiters {
		names = append(names, ArbiterName(i))
	}
	for i := range l.hostsOfMembers() {
		names = append(names, MemberName(i))
	}
	names = append(names, ProxyHost, ClientHost, PowerHost)
	var err error
	if l.Site, err = hosts.Open(ctx, hosts.Options{
		Kind: l.options.Kind, Names: names, Dir: l.options.Dir, IPv6: l.options.IPv6, SlowCables: l.options.SlowCables,
	}); err != nil {
		return err
	}
	if err := l.plugIn(); err != nil {
		return err
	}
	if l.options.Service == Builtin {
		if err := l.startBuiltin(ctx); err != nil {
			return fmt.Errorf("start the built-in service: %w", err)
		}
		return l.startRouter(ctx)
	}
	if l.Template == nil {
		if l.Template, err = database.NewTemplate(ctx, filepath.Join(l.Site.Dir(), "template")); err != nil {
			return err
		}
	}
	if err := l.startMembers(ctx); err != nil {
		return err
	}
	return l.startRouter(ctx)
}

// plugIn makes the power switch, reachable by network at PowerHost and by a Unix socket for the lab itself.
func (l *Lab) plugIn() error {
	var fed []*hosts.Host
	for i := range l.hostsOfMembers() {
		fed = append(fed, l.Site.Host(MemberName(i)))
	}
	l.Power = power.NewSwitch(fed)
	h := l.Site.Host(PowerHost)
	var err error
	if l.powerPort, err = h.FreePort(6230); err != nil {
		return err
	}
	tcp, err := h.Listen("tcp", net.JoinHostPort(h.Addr().String(), strconv.Itoa(l.powerPort)))
	if err != nil {
		return err
	}
	l.Power.Serve(tcp)
	unix, err := net.Listen("unix", l.PowerSocket())
	if err != nil {
		return fmt.Errorf("listen for the power switch: %w", err)
	}
	l.Power.Serve(unix)
	return nil
}

// PowerSocket is the power switch's Unix socket: fence_lab reaches it with socket=PATH.
func (l *Lab) PowerSocket() string { return filepath.Join(l.Site.Dir(), "power.sock") }

// members is how many members a group has.
func (l *Lab) members() int { return l.options.Standbys + 1 }

// hostsOfMembers is how many hosts the members need.
func (l *Lab) hostsOfMembers() int {
	if l.options.Service == Builtin {
		return l.members()
	}
	return l.members() * l.options.Groups
}

// startMembers makes the servers of all groups.
func (l *Lab) startMembers(ctx context.Context) error {
	l.Members = make([]*database.Server, l.hostsOfMembers())
	for first := 0; first < len(l.Members); first += l.members() {
		if err := l.startDatabases(ctx, first); err != nil {
			return fmt.Errorf("start databases: %w", err)
		}
		if err := l.awaitReplication(ctx, first); err != nil {
			return err
		}
	}
	return nil
}

// startDatabases makes the servers of the group whose first member has that number, side by side, and starts the standbys when the primary
// answers (one that finds nobody to follow looks again only after wal_retrieve_retry_interval, 5 s).
func (l *Lab) startDatabases(ctx context.Context, first int) error {
	primary, err := l.newMember(ctx, first, nil)
	if err != nil {
		return err
	}
	l.Members[first] = primary
	group, together := errgroup.WithContext(ctx)
	ready := make(chan struct{})
	group.Go(func() error {
		defer close(ready)
		return primary.Start(together)
	})
	for number := first + 1; number < first+l.members(); number++ {
		group.Go(func() (err error) {
			if l.Members[number], err = l.newMember(together, number, primary); err != nil {
				return err
			}
			<-ready
			return l.Members[number].Start(together)
		})
	}
	return group.Wait()
}

// awaitReplication waits until the standbys of that group stream.
func (l *Lab) awaitReplication(ctx context.Context, first int) error {
	primary := l.Members[first]
	for i, standby := range l.Members[first+1 : first+l.members()] {
		if err := standby.AwaitStreaming(ctx, primary); err != nil {
			return err
		}
		if i == 0 && l.syncStandbys(first) != "" {
			if err := primary.AwaitSynchronous(ctx, standby); err != nil {
				return err
			}
		}
	}
	return nil
}

func (l *Lab) newMember(ctx context.Context, number int, primary *database.Server) (*database.Server, error) {
	options := database.Options{
		Template: l.Template, Host: l.Site.Host(MemberName(number)), Settings: l.options.Settings,
	}
	if primary == nil {
		options.SyncStandbys = l.syncStandbys(number)
	}
	return database.New(ctx, options, primary)
}

// syncStandbys is the rule of the primary of that number.
func (l *Lab) syncStandbys(primary int) string {
	switch {
	case l.options.Asynchronous:
		return ""
	case l.options.SyncStandbys != "":
		return l.options.SyncStandbys
	default:
		return fmt.Sprintf("FIRST 1 (%q)", MemberName(primary+1))
	}
}

// Member returns the database of that name, or nil.
func (l *Lab) Member(name string) *database.Server {
	i := slices.IndexFunc(l.Members, func(m *database.Server) bool { return m.Name() == name })
	if i < 0 {
		return nil
	}
	return l.Members[i]
}

// AutoStart makes a member start its database by itself when its power comes back, as machines in service do.
func (l *Lab) AutoStart(member *database.Server) { member.Host().OnBoot(member.Start) }

// StartWriter starts a client that writes through the proxy until the lab is closed or it is stopped.
func (l *Lab) StartWriter() *traffic.Writer { return l.startWriter(l.RoutedAddress()) }

// StartWriterAmong starts one without a proxy: it finds out which of the databases accepts writes, as clients do that are given several
// hosts.
func (l *Lab) StartWriterAmong(members ...*database.Server) *traffic.Writer {
	var addresses []string
	for _, m := range members {
		addresses = append(addresses, m.Address())
	}
	return l.startWriter(strings.Join(addresses, ","))
}

func (l *Lab) startWriter(address string) *traffic.Writer {
	l.writers++
	w := traffic.StartWriter(l.writerOptions(fmt.Sprintf("client-%d", l.writers), address))
	l.stop = append(l.stop, w.Stop)
	return w
}

// WatchTruth watches who accepts writes until the lab is closed or it is stopped.
func (l *Lab) WatchTruth() *traffic.Truth {
	var t *traffic.Truth
	if l.options.Service == Builtin {
		t = traffic.WatchSubjects(l.Builtin, 0)
	} else {
		t = traffic.WatchTruth(l.Members, 0)
	}
	l.stop = append(l.stop, t.Stop)
	return t
}

// Lost counts the writes that were acknowledged to the writer and are missing on the member.
func (l *Lab) Lost(ctx context.Context, w *traffic.Writer, member Member) (int, error) {
	missing, err := member.Missing(ctx, w.Name(), w.AckedNumbers())
	return len(missing), err
}

// Close ends clients, arbiters, proxy, databases and hosts, and removes every file. Close twice is harmless.
func (l *Lab) Close() error {
	for _, stop := range slices.Backward(l.stop) {
		stop()
	}
	l.stop = nil
	var failed error
	if l.Site != nil {
		failed = l.Site.Close()
	}
	if l.Power != nil {
		failed = errors.Join(failed, l.Power.Close())
		l.Power = nil
	}
	return failed
}
