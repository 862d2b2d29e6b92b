// Package haproxy runs a real HAProxy on a host of a laboratory: the address that clients use, which an arbiter
// closes and opens through the runtime API.
//
// The proxy balances nothing: its one backend has a server per member, all in maintenance except the one that is open
// at the start. It makes no health checks of its own and never retries elsewhere, so that where a connection goes is
// what the runtime API was last told.
//
// Limits: what the runtime API changed is gone after a restart, as with every HAProxy without a state file.
//
// Goroutines: none of its own.
package haproxy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/arbiter-ha/arbiter/internal/lab/hosts"
)

var (
	// ErrNotInstalled says that there is no HAProxy on this machine.
	ErrNotInstalled = errors.New("no HAProxy found: install the package haproxy")
	// ErrRefused carries what the runtime API answered to a command that it didn't like.
	ErrRefused = errors.New("HAProxy refused")
)

// Server is one member behind the proxy.
type Server struct{ Name, Address string }

// Options describe a proxy.
type Options struct {
	Host *hosts.Host
	// Backend is its name in the runtime API.
	Backend string
	Servers []Server
	// Open is the name of the server that takes connections at the start; the others are in maintenance.
	Open string
}

// Proxy is one running HAProxy.
type Proxy struct {
	options Options
	port    int
	runtime int
	process *hosts.Process
}

// Start writes the configuration, starts HAProxy and waits until its runtime API answers.
func Start(ctx context.Context, options Options) (*Proxy, error) {
	p := &Proxy{options: options}
	var err error
	if p.port, err = options.Host.FreePort(5000); err != nil {
		return nil, err
	}
	if p.runtime, err = options.Host.FreePort(9999); err != nil {
		return nil, err
	}
	if err := os.WriteFile(p.configFile(), []byte(p.config()), 0o600); err != nil {
		return nil, fmt.Errorf("write configuration of HAProxy: %w", err)
	}
	return p, p.Launch(ctx)
}

// Launch starts HAProxy again after it was stopped or killed, in its first state.
func (p *Proxy) Launch(ctx context.Context) error {
	program, err := find()
	if err != nil {
		return err
	}
	p.process, err = p.options.Host.Start(hosts.Command{Name: "haproxy", Path: program, Args: []string{"-db", "-f", p.configFile()}})
	if err != nil {
		return fmt.Errorf("start HAProxy: %w", err)
	}
	for {
		_, failed := p.Command(ctx, "show version")
		if failed == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for HAProxy: %w: %w", context.Cause(ctx), failed)
		case <-p.process.Done():
			return fmt.Errorf("start HAProxy: it ended: %w", p.process.Err())
		case <-time.After(2 * time.Millisecond):
		}
	}
}

// Usable says why HAProxy can't be run on this machine, if it can't.
func Usable() error {
	_, err := find()
	return err
}

// find looks where Debian keeps it, which is not in every user's search path.
func find() (string, error) {
	for _, name := range []string{"haproxy", "/usr/sbin/haproxy", "/usr/local/sbin/haproxy"} {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", ErrNotInstalled
}

// Stop ends HAProxy at once, with all sessions.
func (p *Proxy) Stop(ctx context.Context) error { return p.process.Stop(ctx, syscall.SIGTERM) }

// Address is where clients connect, host:port.
func (p *Proxy) Address() string { return p.join(p.port) }

// RuntimeAddress is the runtime API over TCP, host:port.
func (p *Proxy) RuntimeAddress() string { return p.join(p.runtime) }

// RuntimeSocket is the runtime API's Unix socket.
func (p *Proxy) RuntimeSocket() string { return filepath.Join(p.options.Host.Dir(), "haproxy.sock") }

// Backend is its name in the runtime API.
func (p *Proxy) Backend() string { return p.options.Backend }

func (p *Proxy) join(port int) string {
	return net.JoinHostPort(p.options.Host.Addr().String(), strconv.Itoa(port))
}

func (p *Proxy) configFile() string { return filepath.Join(p.options.Host.Dir(), "haproxy.cfg") }

func (p *Proxy) config() string {
	family, binds := "ipv6", "    bind "+p.Address()+"\n"
	if p.options.Host.Addr().Is4() {
		family, binds = "ipv4", binds+fmt.Sprintf("    bind [%s]:%d\n", p.options.Host.Addr6(), p.port)
	}
	var b strings.Builder
	fmt.Fprintf(&b, `global
    stats socket %s@%s level admin
    stats socket %s mode 600 level admin
    stats timeout 1h

defaults
    mode tcp
    timeout connect 1s
    timeout client 1h
    timeout server 1h
    retries 0

frontend clients
%s    default_backend %s

backend %s
`, family, p.RuntimeAddress(), p.RuntimeSocket(), binds, p.options.Backend, p.options.Backend)
	for _, server := range p.options.Servers {
		state := " disabled"
		if server.Name == p.options.Open {
			state = ""
		}
		fmt.Fprintf(&b, "    server %s %s%s\n", server.Name, server.Address, state)
	}
	return b.String()
}

// Command runs one line of the runtime API through the Unix socket and returns the answer. An empty answer is success;
// for commands that change something any other answer is an error.
func (p *Proxy) Command(ctx context.Context, line string) (string, error) {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "unix", p.RuntimeSocket())
	if err != nil {
		return "", fmt.Errorf("reach runtime API of HAProxy: %w", err)
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	if _, err := fmt.Fprintln(conn, line); err != nil {
		return "", fmt.Errorf("ask HAProxy: %w", err)
	}
	text, err := io.ReadAll(conn)
	if err != nil {
		return "", fmt.Errorf("read answer of HAProxy: %w", err)
	}
	answer := strings.TrimSpace(string(text))
	if answer != "" && !strings.HasPrefix(line, "show ") {
		return "", fmt.Errorf("%w: %s: %s", ErrRefused, line, answer)
	}
	return answer, nil
}

// Open makes one server take new connections.
func (p *Proxy) Open(ctx context.Context, server string) error {
	_, err := p.Command(ctx, fmt.Sprintf("set server %s/%s state ready", p.options.Backend, server))
	return err
}

// Close puts one server into maintenance and ends its sessions.
func (p *Proxy) Close(ctx context.Context, server string) error {
	name := p.options.Backend + "/" + server
	_, err := p.Command(ctx, fmt.Sprintf("set server %s state maint; shutdown sessions server %s", name, name))
	return err
}

// closedByConfig is the bit of a server's administrative state that says it once began in maintenance. It stays set
// after the server was opened.
const closedByConfig = 4

// Opened returns the names of the servers that take new connections.
func (p *Proxy) Opened(ctx context.Context) ([]string, error) {
	text, err := p.Command(ctx, "show servers state "+p.options.Backend)
	if err != nil {
		return nil, err
	}
	var open []string
	for line := range strings.Lines(text) {
		// be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state ...
		fields := strings.Fields(line)
		if len(fields) < 7 || fields[1] != p.options.Backend {
			continue
		}
		admin, err := strconv.Atoi(fields[6])
		if err != nil {
			return nil, fmt.Errorf("read state of HAProxy server %s: %w", fields[3], err)
		}
		if admin&^closedByConfig == 0 {
			open = append(open, fields[3])
		}
	}
	return open, nil
}
