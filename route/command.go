package route

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/arbiter-ha/arbiter/failover"
	program "github.com/arbiter-ha/arbiter/internal/command"
	"github.com/arbiter-ha/arbiter/internal/permit"
)

const (
	// commandLimit bounds a call whose context has no deadline.
	commandLimit = 30 * time.Second
	// exitStale is the exit status by which a command refuses an epoch that is older than one it has served.
	exitStale = 3
)

// commandRouter moves clients by a program of the operator's. Its settings:
//
//	command    the absolute path of the program
//	anything   passed on to the program
//
// The program gets one JSON object on standard input (commandRequest) and the harmless part of it in the environment:
// ARBITER_ACTION (close, open or status), ARBITER_GROUP, ARBITER_EPOCH, ARBITER_MEMBER and
// ARBITER_ADDRESS (of the member to open), ARBITER_CLOSE (names with spaces between them). It exits with
// 0 when the action is done, with 3 if it has served a newer epoch, with anything else if it failed. It must be able to
// repeat every action. For status, which changes nothing, it writes {"open": ["pg-b"]}: the members that clients reach
// now. Every close and open is followed by a status, which has to prove it.
type commandRouter struct {
	settings settings
	path     string
	programs *program.Runner
}

// commandRequest is what the program is told.
type commandRequest struct {
	Action    string            `json:"action"`
	Route     string            `json:"route"`
	Group     string            `json:"group"`
	Operation string            `json:"operation,omitempty"`
	Epoch     uint64            `json:"epoch"`
	Open      *commandMember    `json:"open,omitempty"`  // for open: the member that clients should reach
	Close     []commandMember   `json:"close,omitempty"` // for close and open: the members that they should not
	Members   []commandMember   `json:"members"`         // all of the group's
	Settings  map[string]string `json:"settings,omitempty"`
}

type commandMember struct {
	Name    string `json:"name"`
	Address string `json:"address"`
	Zone    string `json:"zone,omitempty"`
}

// commandAnswer is what the program answers to status.
type commandAnswer struct {
	Open []failover.MemberName `json:"open"`
}

func newCommand(s settings, common *Routers) (Router, error) {
	return &commandRouter{settings: s, path: s.values["command"], programs: &common.programs}, nil
}

// Close runs the program's close and proves it by its status.
func (c *commandRouter) Close(ctx context.Context, r Request, members ...failover.MemberName) error {
	request := c.request("close", r)
	for _, name := range members {
		member, err := r.member(name)
		if err != nil {
			return c.wrap("close", err)
		}
		request.Close = append(request.Close, commandMemberOf(member))
	}
	return c.wrap("close", c.change(ctx, r, request, func(s State) error { return s.ProvesClosed(members...) }))
}

// Open runs the program's open and proves it by its status.
func (c *commandRouter) Open(ctx context.Context, r Request, name failover.MemberName) error {
	member, err := r.member(name)
	if err != nil {
		return c.wrap("open", err)
	}
	request := c.request("open", r)
	open := commandMemberOf(member)
	request.Open = &open
	for _, other := range r.Members {
		if other.Name != name {
			request.Close = append(request.Close, commandMemberOf(other))
		}
	}
	return c.wrap("open", c.change(ctx, r, request, func(s State) error { return s.ProvesOpen(name) }))
}

// State runs the program's status.
func (c *commandRouter) State(ctx context.Context, r Request) (State, error) {
	state, err := c.status(ctx, r)
	return state, c.wrap("look", err)
}

func (c *commandRouter) change(ctx context.Context, r Request, request commandRequest, proven func(State) error) error {
	if err := permit.Check(ctx); err != nil { // S6: the lease is read last
		return err
	}
	if _, err := c.run(ctx, request); err != nil {
		return err
	}
	state, err := c.status(ctx, r)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrNotProven, err)
	}
	return proven(state)
}

func (c *commandRouter) status(ctx context.Context, r Request) (State, error) {
	text, err := c.run(ctx, c.request("status", r))
	if err != nil {
		return State{}, err
	}
	answer, err := parseCommandAnswer(text)
	if err != nil {
		return State{}, fmt.Errorf("%w, got %s", err, c.said(text))
	}
	var state State
	for _, name := range answer.Open {
		if _, err := r.member(name); err != nil {
			return State{}, fmt.Errorf("%w: it says that clients reach %q: %w", ErrBadAnswer, c.said(string(name)), err)
		}
	}
	for _, member := range r.Members {
		open := slices.Contains(answer.Open, member.Name)
		server := Server{Member: member.Name, Name: string(member.Name), Open: open, Closed: !open}
		if !open {
			server.Told = "closed"
		}
		state.Servers = append(state.Servers, server)
	}
	return state, nil
}

// parseCommandAnswer reads the one JSON object that a program answers to status; "open" has to be in it.
func parseCommandAnswer(text string) (commandAnswer, error) {
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.DisallowUnknownFields()
	var answer commandAnswer
	if err := decoder.Decode(&answer); err != nil {
		return commandAnswer{}, fmt.Errorf("%w: want {\"open\": [...]}: %w", ErrBadAnswer, err)
	}
	if answer.Open == nil || decoder.More() {
		return commandAnswer{}, fmt.Errorf("%w: want one object {\"open\": [...]}", ErrBadAnswer)
	}
	return answer, nil
}

func (c *commandRouter) request(action string, r Request) commandRequest {
	request := commandRequest{
		Action: action, Route: c.settings.route, Group: string(r.Group), Operation: string(r.Operation),
		Epoch: uint64(r.Epoch), Settings: map[string]string{},
	}
	for _, member := range r.Members {
		request.Members = append(request.Members, commandMemberOf(member))
	}
	for key, value := range c.settings.values {
		if key != "command" {
			request.Settings[key] = value
		}
	}
	return request
}

func commandMemberOf(m failover.MemberSpec) commandMember {
	return commandMember{Name: string(m.Name), Address: m.Address, Zone: m.Zone}
}

// run runs the program and returns what it wrote to standard output.
func (c *commandRouter) run(ctx context.Context, request commandRequest) (string, error) {
	input, err := json.Marshal(request)
	if err != nil {
		return "", fmt.Errorf("encode the request: %w", err)
	}
	limit := commandLimit
	if _, found := ctx.Deadline(); found {
		limit = 0
	}
	result, err := c.programs.Run(ctx, program.Command{Path: c.path, Input: string(input) + "\n", Environment: environment(request), Limit: limit})
	switch {
	case errors.Is(err, program.ErrNotStarted):
		return "", fmt.Errorf("%w: %w", ErrBadSetting, err)
	case err != nil:
		return "", fmt.Errorf("%w: %s: %w", ErrUnreachable, request.Action, err)
	case result.Exit == exitStale:
		return "", fmt.Errorf("%w than %d: %s", ErrStaleEpoch, request.Epoch, c.words(result.Stderr))
	case result.Exit != 0:
		return "", fmt.Errorf("%w %s with exit status %d: %s", ErrRefused, request.Action, result.Exit, c.words(result.Stderr))
	case result.Stdout.Cut:
		return "", fmt.Errorf("%w: it is too long", ErrBadAnswer)
	}
	return result.Stdout.Text, nil
}

func environment(request commandRequest) []string {
	variables := []string{
		"ARBITER_ACTION=" + request.Action, "ARBITER_GROUP=" + request.Group,
		"ARBITER_EPOCH=" + strconv.FormatUint(request.Epoch, 10),
	}
	var closed []string
	for _, member := range request.Close {
		closed = append(closed, member.Name)
	}
	variables = append(variables, "ARBITER_CLOSE="+strings.Join(closed, " "))
	if request.Open != nil {
		variables = append(variables, "ARBITER_MEMBER="+request.Open.Name, "ARBITER_ADDRESS="+request.Open.Address)
	}
	return variables
}

// words is what a program said, without secrets.
func (c *commandRouter) words(o program.Output) string {
	if o.Cut {
		return oneLine(c.settings.redactor.RedactCut(o.Text))
	}
	return c.said(o.Text)
}

// said is a text of the program without secrets. What is read from it is read before: a secret may be part of a name.
func (c *commandRouter) said(text string) string { return oneLine(c.settings.redactor.Redact(text)) }

func (c *commandRouter) wrap(verb string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s by command %s: %w", verb, c.path, c.settings.redactor.Error(err))
}
