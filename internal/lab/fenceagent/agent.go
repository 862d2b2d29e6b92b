// Package fenceagent is the fence agent of the laboratory's power switch: a program that follows the ClusterLabs fence
// agent API and asks the switch (package power) over its socket.
//
// It reads key=value lines from standard input, as a cluster manager sends them, or options from the command line.
// Exit status 0 means done or on, 2 means off (status only), 1 means failed. Unknown keys only warn. It uses the
// standard library's smallest parts alone: a failover waits for it to start.
package fenceagent

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Exit statuses of a fence agent.
const (
	exitDone  = 0
	exitError = 1
	exitOff   = 2
)

// request is what the caller wants.
type request struct {
	action  string
	plug    string
	socket  string // path of a Unix socket; wins over address
	address string
	port    string
	timeout time.Duration
}

// Run is the agent: args without the program's name; it returns the exit status.
func Run(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	if slices.ContainsFunc(args, func(a string) bool { return a == "-h" || a == "--help" }) {
		fmt.Fprint(stdout, help)
		return exitDone
	}
	r := request{action: "reboot", port: "6230", timeout: 20 * time.Second}
	err := r.readArguments(args)
	if err == nil && len(args) == 0 {
		err = r.readLines(stdin, stderr)
	}
	if err != nil {
		fmt.Fprintln(stderr, err)
		return exitError
	}
	status, err := r.do(stdout)
	if err != nil {
		fmt.Fprintln(stderr, err)
	}
	return status
}

// options maps what may stand on the command line to keys.
var options = map[string]string{
	"-o": "action", "--action": "action", "-n": "plug", "--plug": "plug", "-a": "ip", "--ip": "ip",
	"-u": "ipport", "--ipport": "ipport", "--socket": "socket", "--power-timeout": "power_timeout",
}

func (r *request) readArguments(args []string) error {
	for i := 0; i < len(args); i++ {
		name, value, joined := strings.Cut(args[i], "=")
		key := options[name]
		if key == "" {
			return fmt.Errorf("unknown option %q", args[i])
		}
		if !joined {
			if i++; i == len(args) {
				return fmt.Errorf("option %s needs a value", name)
			}
			value = args[i]
		}
		if _, err := r.set(key, value); err != nil {
			return err
		}
	}
	return nil
}

func (r *request) readLines(stdin io.Reader, stderr io.Writer) error {
	lines := bufio.NewScanner(stdin)
	for lines.Scan() {
		line := strings.TrimSpace(lines.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		key, value, found := strings.Cut(line, "=")
		if !found {
			return fmt.Errorf("line %q is not of the form key=value", line)
		}
		known, err := r.set(strings.TrimSpace(key), strings.TrimSpace(value))
		if err != nil {
			return err
		}
		if !known {
			fmt.Fprintf(stderr, "ignoring unknown key %q\n", key)
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("read standard input: %w", err)
	}
	return nil
}

// set takes one key; the older names of the API stand beside the newer ones.
func (r *request) set(key, value string) (known bool, err error) {
	switch key {
	case "action", "option":
		r.action = value
	case "plug", "port", "nodename":
		// A cluster manager always adds nodename; a plug that was given says more.
		if key != "nodename" || r.plug == "" {
			r.plug = value
		}
	case "socket":
		r.socket = value
	case "ip", "ipaddr":
		r.address = value
	case "ipport":
		r.port = value
	case "power_timeout":
		seconds, err := strconv.ParseFloat(value, 64)
		if err != nil || seconds <= 0 {
			return true, fmt.Errorf("power_timeout must be a positive number of seconds, not %q", value)
		}
		r.timeout = time.Duration(seconds * float64(time.Second))
	default:
		return false, nil
	}
	return true, nil
}

func (r *request) do(stdout io.Writer) (int, error) {
	switch r.action {
	case "metadata":
		fmt.Fprint(stdout, metadata)
		return exitDone, nil
	case "validate-all":
		return r.validate()
	case "off", "on", "monitor", "list":
		return r.ask(r.action, stdout)
	case "status":
		return r.ask("status", stdout)
	case "reboot":
		if status, err := r.ask("off", stdout); status != exitDone {
			return status, err
		}
		return r.ask("on", stdout)
	default:
		return exitError, fmt.Errorf("unknown action %q", r.action)
	}
}

func (r *request) validate() (int, error) {
	if r.socket == "" && r.address == "" {
		return exitError, errors.New("say where the power switch is: socket=PATH or ip=ADDRESS")
	}
	if r.plug == "" && r.action != "monitor" && r.action != "list" {
		return exitError, errors.New("say which outlet: plug=NAME")
	}
	return exitDone, nil
}

// ask sends one request to the switch and turns its answer into an exit status.
func (r *request) ask(action string, stdout io.Writer) (int, error) {
	if status, err := r.validate(); err != nil {
		return status, err
	}
	network, address := "unix", r.socket
	if r.socket == "" {
		network, address = "tcp", net.JoinHostPort(r.address, r.port)
	}
	deadline := time.Now().Add(r.timeout)
	conn, err := net.DialTimeout(network, address, r.timeout)
	if err != nil {
		return exitError, fmt.Errorf("reach power switch: %w", err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(deadline)
	if _, err := fmt.Fprintf(conn, "%s %s\n", action, r.plug); err != nil {
		return exitError, fmt.Errorf("ask power switch: %w", err)
	}
	answer, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil {
		return exitError, fmt.Errorf("%s %s: no answer from power switch: %w", action, r.plug, err)
	}
	return r.report(action, strings.TrimSpace(answer), stdout)
}

func (r *request) report(action, answer string, stdout io.Writer) (int, error) {
	switch {
	case action == "list":
		for _, plug := range strings.Fields(answer) {
			fmt.Fprintf(stdout, "%s,\n", plug)
		}
		return exitDone, nil
	case action == "status" && answer == "on":
		fmt.Fprintln(stdout, "Status: ON")
		return exitDone, nil
	case action == "status" && answer == "off":
		fmt.Fprintln(stdout, "Status: OFF")
		return exitOff, nil
	case action != "status" && answer == "done":
		fmt.Fprintf(stdout, "Success: %s\n", action)
		return exitDone, nil
	default:
		return exitError, fmt.Errorf("%s %s: power switch says %q", action, r.plug, answer)
	}
}
