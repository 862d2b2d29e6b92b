package power

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"time"
)

// Machine is what an outlet feeds.
type Machine interface {
	// Name is the outlet's name, called plug in the language of fence agents.
	Name() string
	// PowerOff returns nil only when nothing runs on the machine any more.
	PowerOff(ctx context.Context) error
	PowerOn(ctx context.Context) error
	// On tells whether the power is on.
	On() bool
}

// Request is one request that the switch got, with its answer.
type Request struct {
	// Action is off, on, status, list or monitor.
	Action string
	// Plug is the outlet asked about; empty for list and monitor.
	Plug string
	// Answer is what was sent back; empty when nothing was.
	Answer string
	// Began and Ended are when it arrived and when it was answered.
	Began, Ended time.Time
}

// Switch feeds machines and obeys whoever reaches it.
type Switch struct {
	ctx  context.Context
	end  context.CancelFunc
	work sync.WaitGroup

	mu        sync.Mutex
	outlets   map[string]*outlet
	requests  []Request
	listeners []net.Listener
}

type outlet struct {
	machine Machine
	serial  sync.Mutex // one off or on at a time
	fault   Fault      // guarded by Switch.mu
	lied    bool       // guarded by Switch.mu: what it claims is off, by a lie
}

// NewSwitch makes a switch with one outlet per machine.
func NewSwitch[M Machine](machines []M) *Switch {
	ctx, end := context.WithCancel(context.Background())
	s := &Switch{ctx: ctx, end: end, outlets: map[string]*outlet{}}
	for _, m := range machines {
		s.outlets[m.Name()] = &outlet{machine: m}
	}
	return s
}

// Serve answers on the listener, which it owns from now on, until Close.
func (s *Switch) Serve(listener net.Listener) {
	s.mu.Lock()
	s.listeners = append(s.listeners, listener)
	s.mu.Unlock()
	s.work.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return // closed
			}
			s.work.Go(func() { s.serveOne(conn) })
		}
	})
}

// Close stops listening, breaks off what is going on, and waits for all of it to end.
func (s *Switch) Close() error {
	s.end()
	s.mu.Lock()
	listeners := s.listeners
	s.listeners = nil
	s.mu.Unlock()
	var failed error
	for _, listener := range listeners {
		if err := listener.Close(); err != nil {
			failed = fmt.Errorf("close power switch: %w", err)
		}
	}
	s.work.Wait()
	return failed
}

// SetFault makes an outlet misbehave from the next request on; the zero Fault mends it.
func (s *Switch) SetFault(plug string, fault Fault) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.outlets[plug]
	if o == nil {
		return fmt.Errorf("set fault: no outlet %q", plug)
	}
	o.fault, o.lied = fault, false
	return nil
}

// Requests returns all requests so far in the order of their end.
func (s *Switch) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.requests)
}

// patience bounds how long a client may take to say what it wants.
const patience = 5 * time.Second

func (s *Switch) serveOne(conn net.Conn) {
	defer conn.Close()
	// Whatever the connection waits for, the end of the switch or of the client ends it.
	ctx, cancel := context.WithCancel(s.ctx)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	_ = conn.SetReadDeadline(time.Now().Add(patience))
	reader := bufio.NewReader(conn)
	line, err := reader.ReadString('\n')
	if err != nil {
		return
	}
	words := strings.Fields(line)
	if len(words) == 0 {
		return
	}
	began := time.Now()
	_ = conn.SetReadDeadline(time.Time{})
	s.work.Go(func() {
		_, _ = reader.ReadByte() // returns when the client hangs up
		cancel()
	})
	answer := s.answer(ctx, words)
	s.note(words, answer, began)
	if answer != "" {
		_, _ = fmt.Fprintln(conn, answer)
	}
}

func (s *Switch) note(words []string, answer string, began time.Time) {
	if words[0] == "fault" {
		return
	}
	r := Request{Action: words[0], Answer: answer, Began: began, Ended: time.Now()}
	if len(words) > 1 {
		r.Plug = words[1]
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests = append(s.requests, r)
}

// answer obeys one request. An empty answer means that none is sent.
func (s *Switch) answer(ctx context.Context, words []string) string {
	switch {
	case words[0] == "monitor":
		return "done"
	case words[0] == "list":
		return strings.Join(s.plugs(), " ")
	case len(words) < 2:
		return "error say which outlet"
	}
	s.mu.Lock()
	o := s.outlets[words[1]]
	s.mu.Unlock()
	if o == nil {
		return fmt.Sprintf("error no outlet %q; there are %s", words[1], strings.Join(s.plugs(), ", "))
	}
	if words[0] == "fault" {
		fault, err := parseFault(words[2:])
		if err == nil {
			err = s.SetFault(words[1], fault)
		}
		return said("done", err)
	}
	return s.operate(ctx, o, words[0])
}

func (s *Switch) plugs() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var names []string
	for name := range s.outlets {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// operate deals with off, on and status of one outlet, faults included.
func (s *Switch) operate(ctx context.Context, o *outlet, action string) string {
	s.mu.Lock()
	fault := o.fault
	if action == "off" && o.fault.FailOff > 0 {
		o.fault.FailOff--
	}
	s.mu.Unlock()
	if fault.Gone {
		return ""
	}
	if fault.Delay > 0 {
		select {
		case <-time.After(fault.Delay):
		case <-ctx.Done():
			return ""
		}
	}
	if fault.Hang {
		<-ctx.Done()
		return ""
	}
	switch action {
	case "off":
		return s.off(ctx, o, fault)
	case "on":
		o.serial.Lock()
		defer o.serial.Unlock()
		s.claim(o, false)
		return said("done", o.machine.PowerOn(ctx))
	case "status":
		return s.status(o)
	default:
		return fmt.Sprintf("error unknown action %q", action)
	}
}

func (s *Switch) off(ctx context.Context, o *outlet, fault Fault) string {
	switch {
	case fault.FailOff > 0:
		return "error the outlet did not switch"
	case fault.Lie:
		s.claim(o, true)
		return "done"
	case fault.Ineffective:
		return "done"
	}
	o.serial.Lock()
	defer o.serial.Unlock()
	// Once begun, off is carried through even if whoever asked for it has gone.
	return said("done", o.machine.PowerOff(context.WithoutCancel(ctx)))
}

func (s *Switch) status(o *outlet) string {
	s.mu.Lock()
	lied := o.lied
	s.mu.Unlock()
	if lied || !o.machine.On() {
		return "off"
	}
	return "on"
}

func (s *Switch) claim(o *outlet, off bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	o.lied = off
}

func said(done string, err error) string {
	if err != nil {
		return "error " + strings.Join(strings.Fields(err.Error()), " ")
	}
	return done
}
