//go:build linux

package fence

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/arbiter-ha/arbiter/failover"
	"github.com/arbiter-ha/arbiter/internal/permit"
)

const (
	off      = failover.ProofConfirmedOff
	isolated = failover.ProofConfirmedIsolated
	unknown  = failover.ProofUnknown
	// generous is a time limit that no honest device reaches on a busy machine.
	generous = 30 * time.Second
)

func TestS3_OneDevice(t *testing.T) {
	for name, test := range map[string]struct {
		mode    string
		timeout time.Duration
		retries int
		more    []string
		grade   failover.ProofGrade
		words   []string
		state   string
	}{
		"honest":                      {mode: "good", grade: off, words: []string{"off, read back off"}, state: "off"},
		"says nothing but exit":       {mode: "silent", grade: off, state: "off"},
		"slow":                        {mode: "slow", more: []string{"sleep", "0.3"}, grade: off, state: "off"},
		"off a while later":           {mode: "late", grade: off, state: "off"},
		"fails but has worked":        {mode: "fails-but-works", grade: off, state: "off"},
		"hangs after it has worked":   {mode: "hangs-after-off", timeout: 3 * time.Second, grade: off, state: "off"},
		"third try works":             {mode: "fails-twice", retries: 2, grade: off, words: []string{"try 3"}, state: "off"},
		"two tries are not enough":    {mode: "fails-twice", retries: 1, grade: unknown, words: []string{"busy", "still on"}, state: "on"},
		"lies about off":              {mode: "lies-on-off", timeout: 2 * time.Second, grade: unknown, words: []string{"still on"}, state: "on"},
		"hangs":                       {mode: "hangs", timeout: 300 * time.Millisecond, grade: unknown, words: []string{"time limit"}},
		"hangs on status":             {mode: "hangs-on-status", timeout: 500 * time.Millisecond, grade: unknown, words: []string{"status: time limit"}},
		"fails":                       {mode: "fails", grade: unknown, words: []string{"Unable to log in"}, state: "on"},
		"interpreter's exit status 2": {mode: "usage-error", grade: unknown, words: []string{"contradicts", "can't open file"}, state: "off"},
		"exit status 2, says on":      {mode: "exit-2-says-on", grade: unknown, words: []string{"contradicts"}},
		"exit status 0, says off":     {mode: "exit-0-says-off", grade: unknown, words: []string{"contradicts"}},
		"garbage":                     {mode: "garbage", grade: unknown},
		"cuts off from storage":       {mode: "good", more: []string{"proof", "isolated"}, grade: isolated, state: "off"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			if test.timeout == 0 {
				test.timeout = generous
			}
			device := r.device("1", test.mode, test.timeout, test.more...)
			device.Retries = test.retries
			proof, steps := New(Options{}).Isolate(t.Context(), member(level(device)), failover.Policy{}, nil)
			wantProof(t, proof, test.grade, test.words...)
			if test.state != "" && r.state("1") != test.state {
				t.Errorf("the machine is %s", r.state("1"))
			}
			if len(steps) != 1 || !strings.Contains(steps[0].Name, "fence_test_device 1") || steps[0].Length <= 0 {
				t.Errorf("steps %+v", steps)
			}
			if len(proof.Detail) > detailLimit || strings.ContainsAny(proof.Detail, "\n\r\x00\x1b") {
				t.Errorf("detail is not one short line: %q", proof.Detail)
			}
			if grade := proof.Grade; grade != unknown && r.calls("status", "1") == 0 {
				t.Errorf("grade %s without asking for the status", grade)
			}
		})
	}
}

func TestScenario21_FirstDeviceFailsNextLevelSucceeds(t *testing.T) {
	r := newRig(t)
	m := member(level(r.device("1", "fails", generous)), level(r.device("2", "good", generous)))
	proof, steps := New(Options{}).Isolate(t.Context(), m, failover.Policy{}, nil)
	wantProof(t, proof, off, "level 2 off, read back off", "level 1: fence_test_device 1: off: the device reports an error")
	if proof.By != "fence_test_device 2" || len(steps) != 2 || !strings.Contains(steps[0].Name, "gave no proof") {
		t.Errorf("by %q, steps %+v", proof.By, steps)
	}
	if steps[1].Start < steps[0].Start+steps[0].Length {
		t.Errorf("levels ran at the same time without being told to: %+v", steps)
	}
}

func TestScenario22_AllDevicesOfALevelMustSucceed(t *testing.T) {
	r := newRig(t)
	both := member(level(r.device("1", "good", generous), r.device("2", "good", generous)))
	proof, _ := New(Options{}).Isolate(t.Context(), both, failover.Policy{}, nil)
	wantProof(t, proof, off)
	if proof.By != "fence_test_device 1 + fence_test_device 2" || r.state("1") != "off" || r.state("2") != "off" {
		t.Errorf("by %q, states %s and %s", proof.By, r.state("1"), r.state("2"))
	}

	for _, mode := range []string{"fails", "lies-on-off", "hangs"} {
		one := member(level(r.device("3", "good", generous), r.device("4", mode, 500*time.Millisecond)))
		proof, _ = New(Options{}).Isolate(t.Context(), one, failover.Policy{}, nil)
		wantProof(t, proof, unknown, "fence_test_device 4")
		if strings.Contains(proof.Detail, ErrLevelFailed.Error()) {
			t.Errorf("names a device that is not to blame: %q", proof.Detail)
		}
	}
}

func TestScenario22_ALevelIsAsGoodAsItsWeakestDevice(t *testing.T) {
	r := newRig(t)
	m := member(level(r.device("1", "good", generous), r.device("2", "good", generous, "proof", "isolated")))
	proof, _ := New(Options{}).Isolate(t.Context(), m, failover.Policy{}, nil)
	wantProof(t, proof, isolated)
}

func TestScenario23_AHangingDeviceTakesNothingFromTheNext(t *testing.T) {
	r := newRig(t)
	m := member(level(r.device("1", "hangs", 300*time.Millisecond)),
		level(r.device("2", "slow", generous, "sleep", "0.6")))
	proof, steps := New(Options{}).Isolate(t.Context(), m, failover.Policy{}, nil)
	wantProof(t, proof, off, "level 2", "time limit")
	if first := steps[0].Length; first < 290*time.Millisecond || first > 5*time.Second {
		t.Errorf("the hanging device took %v of its 300ms", first)
	}
}

func TestScenario24_DeviceSaysOffButTheMemberStillAnswers(t *testing.T) {
	r := newRig(t)
	m := member(level(r.device("1", "good", generous)), level(r.device("2", "good", generous)))
	answers := func(context.Context, failover.ProofGrade) (bool, string) {
		return r.state("2") != "off", "connected to 127.0.0.1:5432"
	}
	proof, steps := New(Options{}).Isolate(t.Context(), m, failover.Policy{}, answers)
	wantProof(t, proof, off, "level 2", "still answers: connected to 127.0.0.1:5432")
	names := ""
	for _, step := range steps {
		names += step.Name + "; "
	}
	if !strings.Contains(names, "member still answers") || !strings.Contains(names, "member is silent") {
		t.Errorf("steps %s", names)
	}
	always := func(context.Context, failover.ProofGrade) (bool, string) { return true, "of course" }
	for _, raced := range []bool{false, true} {
		proof, _ = New(Options{}).Isolate(t.Context(), m, failover.Policy{RaceFences: raced}, always)
		wantProof(t, proof, unknown, "level 1: the devices say off", "level 2: the devices say off")
	}
	proof, _ = New(Options{}).ReadBack(t.Context(), m, failover.Policy{}, always)
	wantProof(t, proof, unknown, "still answers")
}

func TestScenario24_AnAnswerThatFadesIsNone(t *testing.T) {
	r := newRig(t)
	looks := 0
	fading := func(context.Context, failover.ProofGrade) (bool, string) {
		looks++
		return looks < 3, "its last socket"
	}
	proof, _ := New(Options{}).Isolate(t.Context(), member(level(r.device("1", "good", generous))), failover.Policy{}, fading)
	wantProof(t, proof, off)
	if looks != 3 {
		t.Errorf("%d looks", looks)
	}
}

func TestScenario24_ABrokenOffLookIsNoSilence(t *testing.T) {
	r := newRig(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	lost := errors.New("leadership lost")
	look := func(ctx context.Context, _ failover.ProofGrade) (bool, string) {
		cancel(lost)
		<-ctx.Done()
		return false, "could not look"
	}
	proof, _ := New(Options{}).Isolate(ctx, member(level(r.device("1", "good", generous))), failover.Policy{}, look)
	wantProof(t, proof, unknown, "leadership lost")
}

func TestScenario25_NothingReachable(t *testing.T) {
	r := newRig(t)
	f := New(Options{Directories: []string{t.TempDir()}})
	missing := failover.FenceDevice{Method: "fence_ipmilan", Timeout: generous}
	relative := failover.FenceDevice{Method: "../fence_ipmilan", Timeout: generous}
	m := member(level(r.device("1", "fails", generous)), level(missing), level(relative), level())
	proof, _ := f.Isolate(t.Context(), m, failover.Policy{}, nil)
	wantProof(t, proof, unknown, "level 1:", "level 2: fence_ipmilan: no such fence agent", "level 3:", "level 4: the level has no devices")
	proof, _ = f.Isolate(t.Context(), member(), failover.Policy{}, nil)
	wantProof(t, proof, unknown, "member pg-a has no fence")
	proof, _ = f.Isolate(t.Context(), member(), failover.Policy{RaceFences: true}, nil)
	wantProof(t, proof, unknown, "member pg-a has no fence")
}

func TestS3_GradeThatThePolicyDoesNotAcceptIsNotTried(t *testing.T) {
	r := newRig(t)
	m := member(level(r.device("1", "good", generous, "proof", "isolated")), level(r.device("2", "good", generous)))
	policy := failover.Policy{AcceptProofs: []failover.ProofGrade{off}}
	proof, _ := New(Options{}).Isolate(t.Context(), m, policy, nil)
	wantProof(t, proof, off, "level 2", "does not accept its proof: CONFIRMED_ISOLATED")
	if r.calls("off", "1") != 0 {
		t.Error("the level was tried")
	}
}

func TestS15_RaceEndsItsLosersBeforeItReturns(t *testing.T) {
	r := newRig(t)
	m := member(level(r.device("1", "hangs", generous)), level(r.device("2", "good", generous)), level(r.device("3", "hangs-on-status", generous)))
	began := time.Now()
	proof, steps := New(Options{}).Isolate(t.Context(), m, failover.Policy{RaceFences: true}, nil)
	r.wantNoProcesses() // now, not only at the end of the test
	wantProof(t, proof, off, "level 2", "level 1: fence_test_device 1: off: canceled: another level proved it first")
	if took := time.Since(began); took > generous/2 {
		t.Errorf("waited for the losers: %v", took)
	}
	if len(steps) != 3 {
		t.Errorf("steps %+v", steps)
	}
}

func TestS15_NothingRunsAfterTheContextHasEnded(t *testing.T) {
	for _, raced := range []bool{false, true} {
		r := newRig(t)
		ctx, cancel := context.WithCancelCause(t.Context())
		m := member(level(r.device("1", "hangs", generous)), level(r.device("2", "hangs", generous)))
		stop := make(chan struct{})
		go func() {
			defer close(stop)
			for r.calls("off", "1") == 0 {
				time.Sleep(time.Millisecond)
			}
			cancel(errors.New("leadership lost"))
		}()
		proof, _ := New(Options{}).Isolate(ctx, m, failover.Policy{RaceFences: raced}, nil)
		r.wantNoProcesses()
		wantProof(t, proof, unknown, "leadership lost")
		<-stop
		if !raced && r.calls("off", "2") != 0 {
			t.Error("the next level was tried without the right to it")
		}
	}
}

// The lease is read before each request to switch off, also before the second try of one.
func TestS6_NothingIsSwitchedOffWithoutTheLease(t *testing.T) {
	for _, allowed := range []int{0, 1} {
		r, asked := newRig(t), 0
		ctx := permit.With(t.Context(), func() error {
			if asked++; asked > allowed {
				return permit.ErrExpired
			}
			return nil
		})
		device := r.device("1", "fails-twice", time.Second)
		device.Retries = 2
		proof, _ := New(Options{}).Isolate(ctx, member(level(device)), failover.Policy{}, nil)
		wantProof(t, proof, unknown, "off was not asked for")
		if n := r.calls("off", "1"); n != allowed {
			t.Errorf("asked to switch off %d times, and %d were allowed", n, allowed)
		}
	}
}

func TestReadBackChangesNothing(t *testing.T) {
	r := newRig(t)
	f := New(Options{})
	m := member(level(r.device("1", "hangs", generous)), level(r.device("2", "good", generous), r.device("3", "good", generous)))
	set := func(plug, state string) {
		if err := os.WriteFile(filepath.Join(r.dir, plug+".state"), []byte(state+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	set("2", "off")
	set("3", "on")
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Second)
	defer cancel()
	proof, _ := f.ReadBack(ctx, m, failover.Policy{}, nil)
	wantProof(t, proof, unknown, "fence_test_device 3: status: still on")
	set("3", "off")
	proof, _ = f.ReadBack(t.Context(), m, failover.Policy{}, nil)
	wantProof(t, proof, off, "level 2 read back off")
	if r.calls("off", "2") != 0 || r.calls("off", "3") != 0 || r.calls("off", "1") != 0 {
		t.Error("it switched something off")
	}
}

func TestIsolateCanBeRepeated(t *testing.T) {
	r := newRig(t)
	m := member(level(r.device("1", "good", generous)))
	for range 2 {
		proof, _ := New(Options{}).Isolate(t.Context(), m, failover.Policy{}, nil)
		wantProof(t, proof, off)
	}
}

// Scenario 55: a device that repeats its password.
func TestScenario55_DetailHasNoSecret(t *testing.T) {
	r := newRig(t)
	path := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(path, []byte("hunter2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	device := r.device("1", "fails", generous)
	device.Settings = append(device.Settings, failover.Setting{Key: "password", File: path})
	f, m := New(Options{}), member(level(device))
	proof, steps := f.Isolate(t.Context(), m, failover.Policy{}, nil)
	wantProof(t, proof, unknown, "log in with password [redacted]")
	readBack, _ := f.ReadBack(t.Context(), m, failover.Policy{}, nil)
	for _, text := range []string{proof.Detail, steps[0].Detail, steps[0].Name, readBack.Detail, f.PathStatus(t.Context(), m).Detail} {
		if strings.Contains(text, "hunter2") {
			t.Errorf("secret in %q", text)
		}
	}
}

// TestS3_AnswersAreReadBeforeSecretsAreTakenOut: a password that is a word of the answer takes nothing from its meaning.
func TestS3_AnswersAreReadBeforeSecretsAreTakenOut(t *testing.T) {
	for name, test := range map[string]struct{ mode, password string }{
		"the state":           {"identity", "OFF"},
		"part of the state":   {"identity", "Status"},
		"the name":            {"identity", "db1"},
		"the name, by list":   {"good", "db1"},
		"the plug, by list":   {"good", "1"},
		"what comes of state": {"good", "off"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			file := filepath.Join(t.TempDir(), "password")
			if err := os.WriteFile(file, []byte(test.password), 0o600); err != nil {
				t.Fatal(err)
			}
			device := r.device("1", test.mode, generous, "alias", "db1", "expect_name", "db1")
			device.Settings = append(device.Settings, failover.Setting{Key: "password", File: file})
			f, m := New(Options{}), member(level(device))
			proof, _ := f.Isolate(t.Context(), m, failover.Policy{}, nil)
			wantProof(t, proof, off)
			if path := f.PathStatus(t.Context(), m); !path.Armed || !path.Off {
				t.Errorf("path %+v", path)
			}
			wrong := r.device("1", test.mode, generous, "alias", "db1", "expect_name", "db2")
			wrong.Settings = append(wrong.Settings, failover.Setting{Key: "password", File: file})
			proof, _ = f.Isolate(t.Context(), member(level(wrong)), failover.Policy{}, nil)
			wantProof(t, proof, unknown)
			if test.password == "db1" && strings.Contains(proof.Detail, "db1") {
				t.Errorf("secret in %q", proof.Detail)
			}
		})
	}
}
