package route

import (
	"encoding/csv"
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
)

// splitAnswers takes the answers to several commands apart: each ends with an empty line, and an answer without text is
// that line alone.
func splitAnswers(text string) ([]string, error) {
	var answers []string
	var current strings.Builder
	for line := range strings.Lines(text) {
		if line == "\n" {
			answers = append(answers, current.String())
			current.Reset()
			continue
		}
		current.WriteString(line)
	}
	if current.Len() > 0 {
		return nil, fmt.Errorf("%w: it ends too early: %s", ErrBadAnswer, oneLine(current.String()))
	}
	return answers, nil
}

// addressSet is what HAProxy says after setting an address and a port, the one command that reports its success in words.
var addressSet = regexp.MustCompile(`^(IP changed from '[^']*' to '[^']*'|no need to change the addr), ` +
	`(port changed from '[^']*' to '[^']*'|no need to change the port) by 'stats socket command'\n$`)

// succeeded says whether an answer means success: an empty one does, any words are an error, except of setting an address.
func succeeded(command, answer string) bool {
	if strings.HasPrefix(command, "set server ") && strings.Contains(command, " addr ") {
		return addressSet.MatchString(answer)
	}
	return answer == ""
}

// The bits of a server's administrative state (srv_admin_state) that keep clients away, as HAProxy's management guide has
// them: forced or inherited maintenance, maintenance for lack of an address, forced or inherited drain.
const (
	adminForcedMaintenance    = 0x01
	adminInheritedMaintenance = 0x02
	adminForcedDrain          = 0x08
	adminInheritedDrain       = 0x10
	adminNoAddress            = 0x20
	adminInherited            = adminInheritedMaintenance | adminInheritedDrain
)

// The operational states (srv_op_state) of a server that takes clients. Stopped is 0, stopping 3.
const (
	operationalStarting = 1
	operationalRunning  = 2
)

// serverState is one line of "show servers state".
type serverState struct {
	name, address, port, fqdn string
	admin                     int
	weight, initialWeight     int // it gets no new clients with 0; as its line in the configuration has it
	running                   bool
}

// ip is where HAProxy sends its clients; not valid if it has no address, or one that stands for the client's own.
func (s serverState) ip() netip.Addr {
	ip, err := netip.ParseAddr(s.address)
	if err != nil || ip.IsUnspecified() {
		return netip.Addr{}
	}
	return ip.Unmap()
}

func (s serverState) ready() bool { return s.told() == "" && s.kept() == "" }

// told is what a command told it that keeps new clients away, in a word; empty if none did.
func (s serverState) told() string {
	switch {
	case s.admin&adminForcedMaintenance != 0:
		return "maintenance"
	case s.admin&adminForcedDrain != 0:
		return "drain"
	case s.weight == 0 && s.initialWeight != 0:
		return "weight 0"
	}
	return ""
}

// kept is what else keeps new clients away, which no command to this server takes back; empty if nothing does.
func (s serverState) kept() string {
	switch {
	case s.admin&adminInherited != 0:
		return "maintenance or drain of the server that it tracks"
	case s.admin&adminNoAddress != 0:
		return "no address: its name was not found"
	case s.weight == 0 && s.initialWeight == 0:
		return "weight 0 in the configuration"
	}
	return ""
}

// usable means that HAProxy would send clients there.
func (s serverState) usable() bool { return s.ready() && s.running }

// inMaintenance means by command: what HAProxy inherits or decides by itself may end by itself.
func (s serverState) inMaintenance() bool { return s.admin&adminForcedMaintenance != 0 && !s.running }

// parseServersState reads "show servers state BACKEND", version 1: a line with the version, one with "# " and the names of the
// columns, one for each server.
func parseServersState(answer, backend string) (map[string]serverState, error) {
	version, rest, _ := strings.Cut(answer, "\n")
	header, rest, found := strings.Cut(rest, "\n")
	if version != "1" || !found || !strings.HasPrefix(header, "# ") {
		return nil, fmt.Errorf("%w: state of backend %s: %s", ErrBadAnswer, backend, oneLine(answer))
	}
	column := map[string]int{}
	for i, name := range strings.Fields(header[2:]) {
		column[name] = i
	}
	servers := map[string]serverState{}
	for line := range strings.Lines(rest) {
		s, of, err := parseServerLine(column, strings.Fields(line))
		if err != nil {
			return nil, fmt.Errorf("%w: state of backend %s: %w", ErrBadAnswer, backend, err)
		}
		if _, twice := servers[s.name]; of != backend || twice {
			return nil, fmt.Errorf("%w: state of backend %s: unexpected line %s", ErrBadAnswer, backend, oneLine(line))
		}
		servers[s.name] = s
	}
	return servers, nil
}

func parseServerLine(column map[string]int, fields []string) (s serverState, backend string, err error) {
	get := func(name string) string {
		i, found := column[name]
		if !found || i >= len(fields) {
			err = fmt.Errorf("no %s in it", name)
			return ""
		}
		return fields[i]
	}
	s = serverState{name: get("srv_name"), address: get("srv_addr"), port: get("srv_port"), fqdn: get("srv_fqdn")}
	backend = get("be_name")
	operational, admin, weight, initial := get("srv_op_state"), get("srv_admin_state"), get("srv_uweight"), get("srv_iweight")
	if err != nil {
		return s, backend, err
	}
	state, err := strconv.Atoi(operational)
	if err != nil || state < 0 || state > 3 {
		return s, backend, fmt.Errorf("srv_op_state %q", operational)
	}
	if s.admin, err = strconv.Atoi(admin); err != nil || s.admin < 0 {
		return s, backend, fmt.Errorf("srv_admin_state %q", admin)
	}
	if s.weight, err = strconv.Atoi(weight); err != nil || s.weight < 0 {
		return s, backend, fmt.Errorf("srv_uweight %q", weight)
	}
	if s.initialWeight, err = strconv.Atoi(initial); err != nil || s.initialWeight < 0 {
		return s, backend, fmt.Errorf("srv_iweight %q", initial)
	}
	s.running = state == operationalStarting || state == operationalRunning
	return s, backend, nil
}

// serverStatistics is what is needed of one line of "show stat".
type serverStatistics struct {
	sessions int  // that are there now
	backup   bool // its line in the configuration says "backup"
}

// parseStatistics reads the CSV of "show stat BACKEND 4 -1", by server.
func parseStatistics(answer, backend string) (map[string]serverStatistics, error) {
	bad := func(err error) (map[string]serverStatistics, error) {
		return nil, fmt.Errorf("%w: statistics of backend %s: %w", ErrBadAnswer, backend, err)
	}
	if !strings.HasPrefix(answer, "# ") {
		return bad(fmt.Errorf("no header: %s", oneLine(answer)))
	}
	reader := csv.NewReader(strings.NewReader(answer[2:]))
	reader.FieldsPerRecord = -1
	rows, err := reader.ReadAll()
	if err != nil {
		return bad(err)
	}
	if len(rows) == 0 {
		return bad(errors.New("no names of columns"))
	}
	column := map[string]int{}
	for i, name := range rows[0] {
		column[name] = i
	}
	statistics := map[string]serverStatistics{}
	for _, row := range rows[1:] {
		cell := func(name string) string {
			if i, found := column[name]; found && i < len(row) {
				return row[i]
			}
			return ""
		}
		n, err := strconv.Atoi(cell("scur"))
		if err != nil || n < 0 || cell("svname") == "" || cell("pxname") != backend {
			return bad(fmt.Errorf("unexpected line %s", oneLine(strings.Join(row, ","))))
		}
		statistics[cell("svname")] = serverStatistics{sessions: n, backup: cell("bck") == "1"}
	}
	return statistics, nil
}
