//go:build linux

package fence

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/arbiter-ha/arbiter/failover"
)

// machine is a process group that a simulated BMC switches off.
type machine struct {
	process *exec.Cmd
	bmc     *exec.Cmd
	port    int
}

const (
	lanConfiguration = `name "db1"
set_working_mc 0x20
  startlan 1
    addr 127.0.0.1 %d
    priv_limit admin
    allowed_auths_callback none md2 md5 straight
    allowed_auths_user none md2 md5 straight
    allowed_auths_operator none md2 md5 straight
    allowed_auths_admin none md2 md5 straight
    guid a123456789abcdefa123456789abcdef
  endlan
  chassis_control "%s %s"
  user 1 true "" "test" user 10 none md2 md5 straight
  user 2 true "fence" "hunter2" admin 10 none md2 md5 straight
`
	emulatorCommands = `mc_setbmc 0x20
mc_add 0x20 0 no-device-sdrs 0x23 9 8 0x9f 0x1291 0xf02
sel_enable 0x20 1000 0x0a
mc_enable 0x20
`
)

// startMachine starts a machine and its BMC, which both end with the test.
func startMachine(t *testing.T) *machine {
	t.Helper()
	dir := t.TempDir()
	m := &machine{port: freeUDPPort(t)}
	m.process = start(t, dir, "sleep", "100000")
	write(t, filepath.Join(dir, "machine.pid"), strconv.Itoa(m.process.Process.Pid))
	chassis, err := filepath.Abs("testdata/ipmi/chassis")
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "lan.conf"), fmt.Sprintf(lanConfiguration, m.port, chassis, dir))
	write(t, filepath.Join(dir, "db1.emu"), emulatorCommands)
	m.bmc = start(t, dir, "ipmi_sim", "-n", "-c", filepath.Join(dir, "lan.conf"), "-f", filepath.Join(dir, "db1.emu"), "-s", dir)
	return m
}

func start(t *testing.T, dir, name string, arguments ...string) *exec.Cmd {
	t.Helper()
	command := exec.Command(name, arguments...)
	command.Dir = dir
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = syscall.Kill(-command.Process.Pid, syscall.SIGKILL)
		_ = command.Wait()
	})
	return command
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func freeUDPPort(t *testing.T) int {
	t.Helper()
	socket, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	return socket.LocalAddr().(*net.UDPAddr).Port
}

func (m *machine) device(t *testing.T, timeout time.Duration, more ...string) failover.FenceDevice {
	t.Helper()
	path := filepath.Join(t.TempDir(), "password")
	write(t, path, "hunter2\n")
	device := deviceOf("fence_ipmilan", append([]string{
		"ip", "127.0.0.1", "ipport", strconv.Itoa(m.port), "username", "fence",
		"lanplus", "1", "cipher", "3",
	}, more...)...)
	device.Settings = append(device.Settings, failover.Setting{Key: "password", File: path})
	device.Timeout = timeout
	return device
}

func TestIPMI(t *testing.T) {
	m := startMachine(t)
	f := New(Options{})
	// The agent waits two seconds before it looks whether the machine is off; a fence needs no such pause.
	spec := member(level(m.device(t, generous, "power_wait", "0", "stonith_status_sleep", "0")))
	for end := time.Now().Add(generous); !f.PathStatus(t.Context(), spec).Armed; {
		if time.Now().After(end) {
			t.Fatalf("the BMC does not answer: %+v", f.PathStatus(t.Context(), spec))
		}
	}
	if problems := f.Validate(t.Context(), spec); len(problems) != 0 {
		t.Errorf("problems %+v", problems)
	}
	proof, _ := f.ReadBack(t.Context(), spec, failover.Policy{}, nil)
	wantProof(t, proof, unknown, "still on")

	began := time.Now()
	proof, steps := f.Isolate(t.Context(), spec, failover.Policy{}, nil)
	t.Logf("off and read back in %v: %+v", time.Since(began), steps)
	wantProof(t, proof, off)
	if processState(m.process.Process.Pid) != "Z" {
		t.Errorf("the machine still runs: state %s", processState(m.process.Process.Pid))
	}
	proof, _ = f.ReadBack(t.Context(), spec, failover.Policy{}, nil)
	wantProof(t, proof, off)
}

func TestIPMIWrongPassword(t *testing.T) {
	m := startMachine(t)
	f := New(Options{})
	right := member(level(m.device(t, generous)))
	for end := time.Now().Add(generous); !f.PathStatus(t.Context(), right).Armed && time.Now().Before(end); {
	}
	wrong := m.device(t, generous)
	path := filepath.Join(t.TempDir(), "password")
	write(t, path, "hunter3")
	wrong.Settings[len(wrong.Settings)-1].File = path
	proof, _ := f.Isolate(t.Context(), member(level(wrong)), failover.Policy{}, nil)
	wantProof(t, proof, unknown)
	if processState(m.process.Process.Pid) == "Z" {
		t.Error("the machine was switched off")
	}
}

// A BMC that hangs keeps its own time limit, and a second level proves it.
func TestScenario23_HungBMC(t *testing.T) {
	m := startMachine(t)
	f := New(Options{})
	hung := m.device(t, 2*time.Second)
	for end := time.Now().Add(generous); !f.PathStatus(t.Context(), member(level(m.device(t, generous)))).Armed && time.Now().Before(end); {
	}
	if err := syscall.Kill(m.bmc.Process.Pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	r := newRig(t)
	proof, steps := f.Isolate(t.Context(), member(level(hung), level(r.device("1", "good", generous))), failover.Policy{}, nil)
	wantProof(t, proof, off, "level 2", "time limit")
	if first := steps[0].Length; first > generous/2 {
		t.Errorf("the hung BMC took %v of its 2s", first)
	}
	for _, name := range []string{"ipmitool", "fence_ipmilan"} {
		if ids := processesWith(t, name, strconv.Itoa(m.port)); len(ids) != 0 {
			t.Errorf("%s still runs: %v", name, ids)
		}
	}
}
