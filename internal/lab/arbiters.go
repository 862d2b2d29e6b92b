package lab

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/arbiter-ha/arbiter/client"
	"github.com/arbiter-ha/arbiter/internal/lab/database"
	"github.com/arbiter-ha/arbiter/internal/lab/hosts"
	"github.com/arbiter-ha/arbiter/internal/pki"
	arbiterv1 "github.com/arbiter-ha/arbiter/proto/arbiter/v1"
)

// Cluster is the name in the certificates of a lab.
const Cluster = "lab"

// Arbiter is one arbiterd on a host of its own.
type Arbiter struct {
	host       *hosts.Host
	raft, grpc int // ports
	program    string
	process    *hosts.Process
	// Recording is a folder for recordings of its lives from the next start on; empty: none are made.
	Recording string
	// Env is added to the environment of the next start, for failpoints of test builds.
	Env []string
}

// Name is the arbiter's id.
func (a *Arbiter) Name() string { return a.host.Name() }

// Host is where it runs.
func (a *Arbiter) Host() *hosts.Host { return a.host }

// Address is where its API listens, host:port.
func (a *Arbiter) Address() string { return hostPort(a.host, a.grpc) }

// RaftAddress is where it listens for other arbiters, host:port.
func (a *Arbiter) RaftAddress() string { return hostPort(a.host, a.raft) }

// Config is the path of its file, DataDir that of its log.
func (a *Arbiter) Config() string { return filepath.Join(a.host.Dir(), "arbiter.yaml") }

// DataDir is the directory of its Raft log.
func (a *Arbiter) DataDir() string { return filepath.Join(a.host.Dir(), "arbiter") }

// LogFile is what it wrote to its standard output and error, over all its lives.
func (a *Arbiter) LogFile() string { return filepath.Join(a.host.LogDir(), "arbiterd.log") }

// Process is its last life; nil before the first.
func (a *Arbiter) Process() *hosts.Process { return a.process }

// timerSlack is what deploy/arbiterd.service gives an arbiter, by TimerSlackNSec.
const timerSlack = time.Millisecond

// Start starts it; it doesn't wait.
func (a *Arbiter) Start() error {
	arguments := []string{"--config", a.Config()}
	if a.Recording != "" {
		arguments = append(arguments, "--record", a.Recording)
	}
	process, err := a.host.Start(hosts.Command{
		Name: "arbiterd", Path: a.program, Args: arguments, Env: a.Env, TimerSlack: timerSlack,
	})
	if err != nil {
		return fmt.Errorf("start arbiter %s: %w", a.Name(), err)
	}
	a.process = process
	return nil
}

// Kill ends it with SIGKILL.
func (a *Arbiter) Kill() error { return a.process.Kill() }

// Stop asks it to drain and end, and kills it when ctx ends first.
func (a *Arbiter) Stop(ctx context.Context) error { return a.process.Stop(ctx, syscall.SIGTERM) }

// Freeze stops everything on its host, fence agents included; Thaw lets it go on.
func (a *Arbiter) Freeze(ctx context.Context) error { return a.host.Freeze(ctx) }

// Thaw ends Freeze.
func (a *Arbiter) Thaw() error { return a.host.Thaw() }

func hostPort(h *hosts.Host, port int) string {
	return net.JoinHostPort(h.Addr().String(), fmt.Sprint(port))
}

// PrepareArbiters writes certificates, files and the arbiters' password, and starts nothing.
func (l *Lab) PrepareArbiters() error {
	binaries, err := l.binaries()
	if err != nil {
		return err
	}
	for i := range l.options.Arbiters {
		a := &Arbiter{host: l.Site.Host(ArbiterName(i)), program: filepath.Join(binaries, "arbiterd")}
		if a.raft, err = a.host.FreePort(7400); err == nil {
			a.grpc, err = a.host.FreePort(7401)
		}
		if err != nil {
			return err
		}
		l.Arbiters = append(l.Arbiters, a)
	}
	if err := l.issueCertificates(); err != nil {
		return fmt.Errorf("make certificates: %w", err)
	}
	for _, a := range l.Arbiters {
		if err := os.WriteFile(a.Config(), []byte(l.arbiterFile(a, binaries)), 0o600); err != nil {
			return fmt.Errorf("write file of arbiter %s: %w", a.Name(), err)
		}
	}
	if l.Template == nil {
		return l.writeContext()
	}
	if err := os.WriteFile(l.passwordFile(), []byte(l.Template.Password(database.Arbiter)+"\n"), 0o600); err != nil {
		return fmt.Errorf("write password of the arbiters: %w", err)
	}
	return l.writeContext()
}

// StartArbiters prepares and starts all arbiters, and waits until one of them leads.
func (l *Lab) StartArbiters(ctx context.Context) error {
	if err := l.PrepareArbiters(); err != nil {
		return err
	}
	began := time.Now()
	for _, a := range l.Arbiters {
		if err := a.Start(); err != nil {
			return err
		}
	}
	_, err := l.Leader(ctx)
	l.Serving = time.Since(began)
	return err
}

// Restart ends an arbiter in order, starts it again, and returns how long it then took to say that it is ready: it has found its cluster,
// has applied its log and knows who leads.
func (l *Lab) Restart(ctx context.Context, a *Arbiter) (time.Duration, error) {
	c, err := l.ClientAs("operator", a)
	if err != nil {
		return 0, err
	}
	defer c.Close()
	if err := a.Stop(ctx); err != nil {
		return 0, err
	}
	began := time.Now()
	if err := a.Start(); err != nil {
		return 0, err
	}
	err = await(ctx, a.Name()+" to serve again", func() error {
		status, err := c.GetStatus(ctx, &arbiterv1.GetStatusRequest{Group: Group, Consistency: arbiterv1.Consistency_CONSISTENCY_STALE})
		if err != nil {
			return err
		}
		for _, one := range status.GetArbiters() {
			if one.GetNode() == a.Name() && one.GetReadiness() == arbiterv1.Readiness_READINESS_READY {
				return nil
			}
		}
		return fmt.Errorf("status: %v", status.GetArbiters())
	})
	return time.Since(began), err
}

func (l *Lab) tlsDir() string       { return filepath.Join(l.Site.Dir(), "tls") }
func (l *Lab) passwordFile() string { return filepath.Join(l.Site.Dir(), "arbiter.password") }

func (l *Lab) issueCertificates() error {
	authority, err := pki.Init(filepath.Join(l.Site.Dir(), "ca"), Cluster, false)
	if err != nil {
		return err
	}
	requests := []pki.Request{{Role: pki.RoleOperator, Name: "operator"}, {Role: pki.RoleViewer, Name: "viewer"}}
	for _, a := range l.Arbiters {
		requests = append(requests, pki.Request{Role: pki.RoleArbiter, Name: a.Name()})
	}
	for _, request := range requests {
		if _, err := authority.IssueTo(l.tlsDir(), request, false); err != nil {
			return err
		}
	}
	return nil
}

// arbiterFile is an arbiter in ten lines, as the documentation has it.
func (l *Lab) arbiterFile(a *Arbiter, binaries string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "node: %s\nzone: %s\ndata: %s\n", a.Name(), a.Name(), a.DataDir())
	fmt.Fprintf(&b, "raft: {listen: %q}\ngrpc: {listen: %q}\n", hostPort(a.host, a.raft), hostPort(a.host, a.grpc))
	b.WriteString("arbiters:\n")
	for _, other := range l.Arbiters {
		fmt.Fprintf(&b, "  %s: {raft: %q, grpc: %q}\n", other.Name(), hostPort(other.host, other.raft), other.Address())
	}
	tls := filepath.Join(l.tlsDir(), a.Name())
	fmt.Fprintf(&b, "tls: {ca: %s, cert: %s.crt, key: %s.key}\n", filepath.Join(l.tlsDir(), "ca.crt"), tls, tls)
	fmt.Fprintf(&b, "fence_agent_dirs: [%s, /usr/sbin]\n", binaries)
	return b.String()
}

// Home is the home directory of the lab's operator, in which arbiterctl finds its context.
func (l *Lab) Home() string { return filepath.Join(l.Site.Dir(), "operator") }

func (l *Lab) writeContext() error {
	var addresses []string
	for _, a := range l.Arbiters {
		addresses = append(addresses, fmt.Sprintf("%q", a.Address()))
	}
	text := fmt.Sprintf("current: lab\ncontexts:\n  lab:\n    addresses: [%s]\n    tls: {ca: %s, cert: %s, key: %s}\n",
		strings.Join(addresses, ", "), filepath.Join(l.tlsDir(), "ca.crt"), filepath.Join(l.tlsDir(), "operator.crt"),
		filepath.Join(l.tlsDir(), "operator.key"))
	dir := filepath.Join(l.Home(), ".config", "arbiter")
	err := os.MkdirAll(dir, 0o700)
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "contexts.yaml"), []byte(text), 0o600)
	}
	if err != nil {
		return fmt.Errorf("write contexts of arbiterctl: %w", err)
	}
	return nil
}

// Client connects to the arbiters as an operator, from the client's host. The caller closes it.
func (l *Lab) Client() (*client.Client, error) { return l.ClientAs("operator", l.Arbiters...) }

// ClientAs connects with the certificate of that name to some of the arbiters. The caller closes it.
func (l *Lab) ClientAs(name string, arbiters ...*Arbiter) (*client.Client, error) {
	config, err := l.tlsConfig(name)
	if err != nil {
		return nil, err
	}
	options := client.Options{TLS: config, Dial: func(ctx context.Context, address string) (net.Conn, error) {
		return l.Site.Host(ClientHost).Dial(ctx, "tcp", address)
	}}
	for _, a := range arbiters {
		options.Addresses = append(options.Addresses, a.Address())
	}
	return client.New(options)
}

func (l *Lab) tlsConfig(name string) (*tls.Config, error) {
	return client.TLSFromFiles(filepath.Join(l.tlsDir(), "ca.crt"), filepath.Join(l.tlsDir(), name+".crt"),
		filepath.Join(l.tlsDir(), name+".key"))
}

// Leader waits until an arbiter leads and answers a linearizable read, and returns it.
func (l *Lab) Leader(ctx context.Context) (*Arbiter, error) {
	c, err := l.Client()
	if err != nil {
		return nil, err
	}
	defer c.Close()
	var leader *Arbiter
	err = await(ctx, "a leader", func() error {
		status, err := c.GetStatus(ctx, &arbiterv1.GetStatusRequest{Consistency: arbiterv1.Consistency_CONSISTENCY_LINEARIZABLE})
		if err != nil {
			return err
		}
		name := status.GetFreshness().GetLeader()
		i := slices.IndexFunc(l.Arbiters, func(a *Arbiter) bool { return a.Name() == name })
		if i < 0 {
			return fmt.Errorf("the status names %q as the leader", name)
		}
		leader = l.Arbiters[i]
		return nil
	})
	if err != nil {
		return nil, errors.Join(err, l.deaths())
	}
	return leader, nil
}

// deaths says how arbiters ended that don't run.
func (l *Lab) deaths() error {
	var all error
	for _, a := range l.Arbiters {
		if a.process != nil && !a.process.Running() {
			all = errors.Join(all, fmt.Errorf("arbiter %s ended: %w", a.Name(), a.process.Err()))
		}
	}
	return all
}

// askEvery is the first pause between two looks at something that is awaited. What takes long is asked about less often, by
// askShare of the time that has passed: many groups awaited at once must not keep the arbiters busy with answering.
const (
	askEvery = 5 * time.Millisecond
	askShare = 20
)

// await asks until it gets no error, and says what the last one was when ctx ends first.
func await(ctx context.Context, what string, ask func() error) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	began := time.Now()
	var last error
	for {
		select {
		case <-ctx.Done():
			return errors.Join(fmt.Errorf("wait for %s: %w", what, context.Cause(ctx)), last)
		case <-timer.C:
		}
		err := ask()
		if err == nil {
			return nil
		}
		if ctx.Err() == nil {
			last = err
		}
		timer.Reset(max(askEvery, time.Since(began)/askShare))
	}
}
