package lab

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/arbiter-ha/arbiter/internal/lab/builtin"
	"github.com/arbiter-ha/arbiter/internal/lab/database"
	"github.com/arbiter-ha/arbiter/internal/lab/forward"
	"github.com/arbiter-ha/arbiter/internal/lab/haproxy"
	"github.com/arbiter-ha/arbiter/internal/lab/hosts"
	"github.com/arbiter-ha/arbiter/internal/lab/traffic"
	"github.com/arbiter-ha/arbiter/internal/serviceapi"
)

// Service says what a lab's group is made of.
type Service string

// The services.
const (
	// PostgreSQL is the real thing; the default.
	PostgreSQL Service = "postgres"
	// Builtin is the laboratory's own primary/standby service, which needs nothing that isn't in this repository.
	Builtin Service = "builtin"
)

// ParseService reads the name of a service; empty leaves the choice open.
func ParseService(name string) (Service, error) {
	if s := Service(name); s == "" || s == PostgreSQL || s == Builtin {
		return s, nil
	}
	return "", fmt.Errorf("unknown service %q; use %s or %s", name, PostgreSQL, Builtin)
}

// Member is a protected service of any kind.
type Member interface {
	Name() string
	Host() *hosts.Host
	// Address is where clients and arbiters reach it, host:port.
	Address() string
	// Crash kills all of its processes at once with SIGKILL.
	Crash(ctx context.Context) error
	// Missing returns which of the numbers of a writer's orders it doesn't have.
	Missing(ctx context.Context, writer string, numbers []int64) ([]int64, error)
}

// Services are the members, whatever their kind. The first began as the primary.
func (l *Lab) Services() []Member {
	var all []Member
	for _, m := range l.Members {
		all = append(all, m)
	}
	for _, m := range l.Builtin {
		all = append(all, m)
	}
	return all
}

// Service returns the member of that name, or nil.
func (l *Lab) Service(name string) Member {
	all := l.Services()
	i := slices.IndexFunc(all, func(m Member) bool { return m.Name() == name })
	if i < 0 {
		return nil
	}
	return all[i]
}

// servicesOf are the members of the group of that number.
func (l *Lab) servicesOf(group int) []Member {
	all := l.Services()
	if first := group * l.members(); l.options.Service == PostgreSQL && l.options.Groups > 1 {
		return all[first : first+l.members()]
	}
	return all
}

// addressIn is where a member of the group of that number is reached.
func (l *Lab) addressIn(group int, m Member) string {
	if s, many := m.(*builtin.Server); many && group < l.options.Groups {
		return s.MemberAddress(group)
	}
	return m.Address()
}

// startBuiltin is startMembers for the laboratory's own service.
func (l *Lab) startBuiltin(ctx context.Context) error {
	binaries, err := l.binaries(builtinPrograms...)
	if err != nil {
		return err
	}
	for i := range l.options.Standbys + 1 {
		options := builtin.Options{Host: l.Site.Host(MemberName(i)), Program: filepath.Join(binaries, builtin.Program), Members: l.options.Groups}
		var primary *builtin.Server
		if i > 0 {
			primary = l.Builtin[0]
		} else if !l.options.Asynchronous {
			options.Sync = serviceapi.SyncRule{Need: 1, Names: []string{MemberName(1)}}
		}
		s, err := builtin.New(options, primary)
		if err != nil {
			return err
		}
		l.Builtin = append(l.Builtin, s)
	}
	if err := l.Builtin[0].Start(ctx); err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	for _, s := range l.Builtin[1:] {
		group.Go(func() error {
			if err := s.Start(ctx); err != nil {
				return err
			}
			return s.AwaitStreaming(ctx, l.Builtin[0])
		})
	}
	return group.Wait()
}

// startRouter starts what clients connect to.
func (l *Lab) startRouter(ctx context.Context) error {
	first := l.Services()[0]
	if !l.options.BuiltinRouter {
		options := haproxy.Options{Host: l.Site.Host(ProxyHost), Backend: Backend, Open: first.Name()}
		for _, m := range l.Services() {
			options.Servers = append(options.Servers, haproxy.Server{Name: m.Name(), Address: m.Address()})
		}
		var err error
		l.Proxy, err = haproxy.Start(ctx, options)
		return err
	}
	var err error
	if l.programs, err = l.binaries(routerPrograms...); err != nil {
		return err
	}
	router, err := forward.Start(forward.Options{
		Host: l.Site.Host(ProxyHost), Socket: filepath.Join(l.Site.Dir(), "router.sock"), Open: first.Name(), Address: first.Address(),
	})
	if err != nil {
		return err
	}
	l.router = router
	l.stop = append(l.stop, func() { _ = router.Close() }) // the sockets go with the site
	return nil
}

// RoutedAddress is where clients connect, host:port.
func (l *Lab) RoutedAddress() string {
	if l.router != nil {
		return l.router.Address()
	}
	return l.Proxy.Address()
}

// route is the group's route, as YAML.
func (l *Lab) route() string {
	if l.router == nil {
		return fmt.Sprintf("router: haproxy, socket: %q, backend: %s", "tcp://"+l.Proxy.RuntimeAddress(), l.Proxy.Backend())
	}
	return fmt.Sprintf("router: command, command: %s, socket: %s", filepath.Join(l.programs, "route_lab"), l.router.Socket())
}

// connect is how arbiters log in to the members, as YAML.
func (l *Lab) connect() string {
	if l.options.Service == Builtin {
		return "{sslmode: disable}"
	}
	return fmt.Sprintf("{user: %s, password: {file: %s}, database: %s, sslmode: disable}", database.Arbiter, l.passwordFile(), database.Name)
}

// engine is the name of the engine that the members need.
func (l *Lab) engine() string {
	if l.options.Service == Builtin {
		return "http"
	}
	return "postgres"
}

// writerOptions describe a client of the service.
func (l *Lab) writerOptions(name, address string) traffic.WriterOptions {
	options := traffic.WriterOptions{Name: name, Address: address, Dial: l.Site.Host(ClientHost).Dial}
	if l.options.Service == Builtin {
		options.Open = builtin.Opener(options.Address, options.Dial)
		return options
	}
	options.User, options.Password, options.Database = database.App, l.Template.Password(database.App), database.Name
	return options
}
