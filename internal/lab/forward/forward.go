package forward

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"sync"
	"time"

	"github.com/arbiter-ha/arbiter/internal/lab/hosts"
)

// Options describe a router.
type Options struct {
	// Host is where clients find it.
	Host *hosts.Host
	// Socket is the path of its control socket.
	Socket string
	// Open is the name, and Address the address, of the member that clients reach at first.
	Open, Address string
}

// dialPatience bounds connecting to a member.
const dialPatience = time.Second

// Router is one running router.
type Router struct {
	host    *hosts.Host
	address string
	socket  string
	end     context.CancelFunc
	closing []io.Closer
	work    sync.WaitGroup

	mu       sync.Mutex
	epoch    uint64
	open     target
	sessions map[net.Conn]string // both ends of each connection, by member
}

type target struct{ name, address string }

// Start listens for clients and for orders.
func Start(options Options) (*Router, error) {
	port, err := options.Host.FreePort(5000)
	if err != nil {
		return nil, err
	}
	ctx, end := context.WithCancel(context.Background())
	r := &Router{
		host: options.Host, address: net.JoinHostPort(options.Host.Addr().String(), strconv.Itoa(port)), socket: options.Socket, end: end,
		open: target{options.Open, options.Address}, sessions: map[net.Conn]string{},
	}
	clients, err := options.Host.Listen("tcp", r.address)
	if err != nil {
		end()
		return nil, err
	}
	orders, err := net.Listen("unix", options.Socket)
	if err != nil {
		end()
		return nil, errors.Join(fmt.Errorf("listen for orders: %w", err), clients.Close())
	}
	r.closing = []io.Closer{clients, orders}
	r.work.Go(func() { r.accept(clients, func(c net.Conn) { r.forward(ctx, c) }) })
	r.work.Go(func() { r.accept(orders, r.control) })
	return r, nil
}

// Address is where clients connect, host:port.
func (r *Router) Address() string { return r.address }

// Socket is the path of the control socket.
func (r *Router) Socket() string { return r.socket }

// Close ends everything.
func (r *Router) Close() error {
	r.end()
	var failed error
	for _, c := range r.closing {
		failed = errors.Join(failed, c.Close())
	}
	r.mu.Lock()
	r.open = target{}
	r.mu.Unlock()
	r.endSessions("")
	r.work.Wait()
	return failed
}

func (r *Router) accept(l net.Listener, serve func(net.Conn)) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return // closed
		}
		r.work.Go(func() {
			defer conn.Close()
			serve(conn)
		})
	}
}

// forward connects a client to the open member until either ends.
func (r *Router) forward(ctx context.Context, client net.Conn) {
	r.mu.Lock()
	to := r.open
	r.mu.Unlock()
	if to.name == "" {
		return
	}
	dialing, cancel := context.WithTimeout(ctx, dialPatience)
	defer cancel()
	member, err := r.host.Dial(dialing, "tcp", to.address)
	if err != nil {
		return
	}
	defer member.Close()
	if !r.note(to.name, client, member) {
		return // it was closed meanwhile
	}
	defer r.forget(client, member)
	r.work.Go(func() {
		_, _ = io.Copy(member, client) // whatever ends it ends both
		_ = member.Close()
		_ = client.Close()
	})
	_, _ = io.Copy(client, member)
}

func (r *Router) note(member string, conns ...net.Conn) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.open.name != member {
		return false
	}
	for _, c := range conns {
		r.sessions[c] = member
	}
	return true
}

func (r *Router) forget(conns ...net.Conn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range conns {
		delete(r.sessions, c)
	}
}

// endSessions ends the connections to a member, or all.
func (r *Router) endSessions(member string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for conn, to := range r.sessions {
		if to == member || member == "" {
			_ = conn.Close() // it ends either way
			delete(r.sessions, conn)
		}
	}
}

// Request is the part of the command router's request that counts here.
type Request struct {
	Action string            `json:"action"`
	Epoch  uint64            `json:"epoch"`
	Open   *Member           `json:"open"`
	Close  []Member          `json:"close"`
	Set    map[string]string `json:"settings"`
}

// Member is one member of a request.
type Member struct {
	Name    string `json:"name"`
	Address string `json:"address"`
}

// Answer is what the router says.
type Answer struct {
	Open  []string `json:"open"`
	Stale uint64   `json:"stale,omitempty"` // the newer epoch that it has served: nothing was done
}

// control serves one order.
func (r *Router) control(conn net.Conn) {
	var request Request
	if json.NewDecoder(conn).Decode(&request) != nil {
		return
	}
	_ = json.NewEncoder(conn).Encode(r.do(request)) // whoever asked has gone
}

func (r *Router) do(request Request) Answer {
	r.mu.Lock()
	if request.Action != "status" {
		if request.Epoch < r.epoch {
			defer r.mu.Unlock()
			return Answer{Stale: r.epoch}
		}
		r.epoch = request.Epoch
	}
	for _, m := range request.Close {
		if r.open.name == m.Name {
			r.open = target{}
		}
	}
	if request.Action == "open" && request.Open != nil {
		r.open = target{request.Open.Name, request.Open.Address}
	}
	answer := Answer{Open: []string{}}
	if r.open.name != "" {
		answer.Open = append(answer.Open, r.open.name)
	}
	r.mu.Unlock()
	for _, m := range request.Close {
		r.endSessions(m.Name)
	}
	return answer
}

// exitStale is how a program of the command router says that the epoch is older than one it has served.
const exitStale = 3

// Run is the program of the command router: it hands a request on to the control socket that the route's setting "socket"
// names, and returns its exit status.
func Run(in io.Reader, out, errs io.Writer) int {
	text, err := io.ReadAll(in)
	var request Request
	if err == nil {
		err = json.Unmarshal(text, &request)
	}
	var answer Answer
	if err == nil {
		err = ask(request, &answer)
	}
	switch {
	case err != nil:
		fmt.Fprintln(errs, "route_lab:", err)
		return 1
	case answer.Stale != 0:
		fmt.Fprintf(errs, "route_lab: epoch %d has been served\n", answer.Stale)
		return exitStale
	}
	if err := json.NewEncoder(out).Encode(answer); err != nil {
		return 1
	}
	return 0
}

func ask(request Request, answer *Answer) error {
	conn, err := net.Dial("unix", request.Set["socket"])
	if err != nil {
		return fmt.Errorf("reach the laboratory's router: %w", err)
	}
	defer conn.Close()
	if err := json.NewEncoder(conn).Encode(request); err != nil {
		return fmt.Errorf("ask the laboratory's router: %w", err)
	}
	if err := json.NewDecoder(conn).Decode(answer); err != nil {
		return fmt.Errorf("read what the laboratory's router answers: %w", err)
	}
	return nil
}
