package power

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"net"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/arbiter-ha/arbiter/internal/lab/fenceagent"
	"github.com/arbiter-ha/arbiter/internal/lab/hosts"
)

// machine is a double whose power can refuse to go.
type machine struct {
	name  string
	off   atomic.Bool
	stuck bool
}

func (m *machine) Name() string { return m.name }
func (m *machine) On() bool     { return !m.off.Load() }

func (m *machine) PowerOff(context.Context) error {
	if m.stuck {
		return errors.New("processes survived:\n[17]")
	}
	m.off.Store(true)
	return nil
}

func (m *machine) PowerOn(context.Context) error {
	m.off.Store(false)
	return nil
}

// serve starts a switch on a Unix socket and on TCP.
func serve(t *testing.T, machines ...*machine) (s *Switch, socket, port string) {
	t.Helper()
	s = NewSwitch(machines)
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	socket = filepath.Join(t.TempDir(), "power")
	unix, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.Serve(unix)
	s.Serve(tcp)
	_, port, _ = net.SplitHostPort(tcp.Addr().String())
	return s, socket, port
}

// agent runs the fence agent with lines on its standard input.
func agent(lines ...string) (status int, stdout, stderr string) {
	var out, errs bytes.Buffer
	status = fenceagent.Run(nil, strings.NewReader(strings.Join(lines, "\n")+"\n"), &out, &errs)
	return status, out.String(), errs.String()
}

func TestAgentSwitchesAMachine(t *testing.T) {
	m := &machine{name: "pg-a"}
	_, socket, port := serve(t, m)
	steps := []struct {
		action string
		status int
		on     bool
	}{
		{"status", 0, true},
		{"monitor", 0, true},
		{"off", 0, false},
		{"status", 2, false},
		{"off", 0, false},
		{"on", 0, true},
		{"status", 0, true},
		{"reboot", 0, true},
		{"list", 0, true},
		{"validate-all", 0, true},
	}
	for _, where := range []string{"socket=" + socket, "ip=127.0.0.1\nipport=" + port} {
		for _, step := range steps {
			status, _, errs := agent("action="+step.action, "plug=pg-a", where)
			if status != step.status || m.On() != step.on {
				t.Errorf("%s by %s: exit %d, on %v: %s", step.action, where, status, m.On(), errs)
			}
		}
	}
}

func TestAgentRefusesWhatItDoesNotUnderstand(t *testing.T) {
	_, socket, _ := serve(t, &machine{name: "pg-a"})
	for name, test := range map[string]struct {
		lines []string
		want  string
	}{
		"unknown action":   {[]string{"action=explode", "plug=pg-a", "socket=" + socket}, "unknown action"},
		"unknown outlet":   {[]string{"action=off", "plug=pg-z", "socket=" + socket}, "there are pg-a"},
		"no outlet":        {[]string{"action=off", "socket=" + socket}, "plug=NAME"},
		"no switch named":  {[]string{"action=off", "plug=pg-a"}, "socket=PATH"},
		"switch not there": {[]string{"action=off", "plug=pg-a", "socket=" + socket + "x"}, "reach power switch"},
		"no key":           {[]string{"off"}, "key=value"},
		"bad time-out":     {[]string{"action=off", "power_timeout=never"}, "power_timeout"},
	} {
		t.Run(name, func(t *testing.T) {
			if status, _, errs := agent(test.lines...); status != 1 || !strings.Contains(errs, test.want) {
				t.Errorf("exit %d: %s", status, errs)
			}
		})
	}
	status, _, errs := agent("action=status", "plug=pg-a", "socket="+socket, "lanplus=1", "nodename=pg-a")
	if status != 0 || !strings.Contains(errs, "lanplus") {
		t.Errorf("unknown key: exit %d: %s", status, errs)
	}
}

func TestAgentDescribesItself(t *testing.T) {
	var out, errs bytes.Buffer
	if status := fenceagent.Run([]string{"-o", "metadata"}, nil, &out, &errs); status != 0 {
		t.Fatalf("exit %d: %s", status, errs.String())
	}
	var described struct {
		Name       string `xml:"name,attr"`
		Parameters []struct {
			Name string `xml:"name,attr"`
		} `xml:"parameters>parameter"`
		Actions []struct {
			Name string `xml:"name,attr"`
		} `xml:"actions>action"`
	}
	if err := xml.Unmarshal(out.Bytes(), &described); err != nil {
		t.Fatal(err)
	}
	if described.Name != "fence_lab" || len(described.Parameters) != 7 || len(described.Actions) != 8 {
		t.Errorf("described as %+v", described)
	}
}

func TestFaults(t *testing.T) {
	const quick = "power_timeout=0.1"
	tests := map[string]struct {
		fault  Fault
		off    int  // exit status of off
		on     bool // the machine afterwards
		status int  // exit status of status
	}{
		"good":        {Fault{}, 0, false, 2},
		"slow":        {Fault{Delay: 30 * time.Millisecond}, 0, false, 2},
		"too slow":    {Fault{Delay: time.Hour}, 1, true, 1},
		"lying":       {Fault{Lie: true}, 0, true, 2},
		"ineffective": {Fault{Ineffective: true}, 0, true, 0},
		"gone":        {Fault{Gone: true}, 1, true, 1},
		"hanging":     {Fault{Hang: true}, 1, true, 1},
		"fails once":  {Fault{FailOff: 1}, 1, true, 0},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			m := &machine{name: "pg-a"}
			s, socket, _ := serve(t, m)
			if err := s.SetFault("pg-a", test.fault); err != nil {
				t.Fatal(err)
			}
			status, _, errs := agent("action=off", "plug=pg-a", "socket="+socket, quick)
			if status != test.off || m.On() != test.on {
				t.Errorf("off: exit %d, on %v: %s", status, m.On(), errs)
			}
			if status, _, errs := agent("action=status", "plug=pg-a", "socket="+socket, quick); status != test.status {
				t.Errorf("status: exit %d: %s", status, errs)
			}
			if err := s.SetFault("pg-a", Fault{}); err != nil {
				t.Fatal(err)
			}
			if status, _, errs := agent("action=off", "plug=pg-a", "socket="+socket); status != 0 || m.On() {
				t.Errorf("off after the fault: exit %d, on %v: %s", status, m.On(), errs)
			}
		})
	}
}

func TestFaultsAreSetThroughTheSocket(t *testing.T) {
	s, socket, _ := serve(t, &machine{name: "pg-a"})
	ask := func(line string) string {
		conn, err := net.Dial("unix", socket)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if _, err := conn.Write([]byte(line + "\n")); err != nil {
			t.Fatal(err)
		}
		answer := make([]byte, 200)
		n, err := conn.Read(answer)
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(string(answer[:n]))
	}
	if answer := ask("fault pg-a delay=2s lie=true fail_off=3"); answer != "done" {
		t.Error(answer)
	}
	if got := s.outlets["pg-a"].fault; got != (Fault{Delay: 2 * time.Second, Lie: true, FailOff: 3}) {
		t.Errorf("fault set to %+v", got)
	}
	for _, bad := range []string{"fault pg-a speed=1", "fault pg-a delay=fast", "fault pg-z", "off"} {
		if answer := ask(bad); !strings.HasPrefix(answer, "error ") {
			t.Errorf("%s: %s", bad, answer)
		}
	}
	if answer := ask("fault pg-a"); answer != "done" || s.outlets["pg-a"].fault != (Fault{}) {
		t.Errorf("clearing: %s", answer)
	}
	if n := len(s.Requests()); n != 1 {
		t.Errorf("%d requests kept; setting faults is not one", n)
	}
}

func TestStuckMachineIsNotReportedOff(t *testing.T) {
	_, socket, _ := serve(t, &machine{name: "pg-a", stuck: true})
	status, _, errs := agent("action=off", "plug=pg-a", "socket="+socket)
	if status != 1 || !strings.Contains(errs, "processes survived: [17]") {
		t.Errorf("exit %d: %s", status, errs)
	}
}

func TestRequestsAreKept(t *testing.T) {
	s, socket, _ := serve(t, &machine{name: "pg-a"})
	agent("action=status", "plug=pg-a", "socket="+socket)
	agent("action=off", "plug=pg-a", "socket="+socket)
	kept := s.Requests()
	if len(kept) != 2 || kept[0].Action != "status" || kept[0].Answer != "on" || kept[1].Action != "off" ||
		kept[1].Plug != "pg-a" || kept[1].Answer != "done" || kept[1].Ended.Before(kept[1].Began) {
		t.Errorf("kept %+v", kept)
	}
}

func TestRealAgentKillsARealHost(t *testing.T) {
	binary := filepath.Join(t.TempDir(), "fence_lab")
	build := exec.Command("go", "build", "-o", binary, "github.com/arbiter-ha/arbiter/internal/lab/cmd/fence_lab")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the agent: %v: %s", err, out)
	}
	site, err := hosts.Open(t.Context(), hosts.Options{Names: []string{"pg-a"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := site.Close(); err != nil {
			t.Error(err)
		}
	})
	h := site.Host("pg-a")
	s := NewSwitch(site.Hosts())
	t.Cleanup(func() { _ = s.Close() })
	socket := filepath.Join(site.Dir(), "power")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	s.Serve(listener)
	if _, err := h.Start(hosts.Command{Path: "sleep", Args: []string{"1000"}}); err != nil {
		t.Fatal(err)
	}
	run := func(action string) (time.Duration, int) {
		cmd := exec.Command(binary)
		cmd.Stdin = strings.NewReader("action=" + action + "\nplug=pg-a\nsocket=" + socket + "\n")
		begin := time.Now()
		_ = cmd.Run()
		return time.Since(begin), cmd.ProcessState.ExitCode()
	}
	fastest := time.Hour
	for range 10 {
		took, exit := run("status")
		if exit != 0 {
			t.Fatalf("status: exit %d", exit)
		}
		fastest = min(fastest, took)
	}
	took, exit := run("off")
	if pids, err := h.PIDs(); exit != 0 || err != nil || len(pids) != 0 {
		t.Errorf("off: exit %d, processes %v, %v", exit, pids, err)
	}
	t.Logf("status %v, off %v", fastest, took)
}
