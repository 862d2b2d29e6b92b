//go:build linux

package fence

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/arbiter-ha/arbiter/failover"
)

// describing is a fence agent that answers metadata with these settings, and counts the questions.
func describing(t *testing.T, settings string) (path string, asked func() int) {
	t.Helper()
	dir := t.TempDir()
	path = filepath.Join(dir, "fence_described")
	script := "#!/bin/sh\necho x >>" + dir + "/asked\ncat <<XML\n<resource-agent name=\"fence_described\"><parameters>" + settings +
		"</parameters><actions><action name=\"off\"/><action name=\"status\"/></actions></resource-agent>\nXML\n"
	if err := os.WriteFile(path, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	return path, func() int {
		lines, _ := os.ReadFile(filepath.Join(dir, "asked")) // no file yet: never asked
		return strings.Count(string(lines), "x")
	}
}

func TestCheckAgentAsksAnAgentOnceAndAgainBeforeItRefuses(t *testing.T) {
	path, asked := describing(t, `<parameter name="ip"/>`)
	f := New(Options{})
	for range 3 {
		if problems := f.CheckAgent(t.Context(), deviceOf(path, "ip", "bmc", "plug", "1", "expect_name", "db1")); len(problems) != 0 {
			t.Fatalf("problems %+v", problems)
		}
	}
	if asked() != 1 {
		t.Errorf("asked %d times", asked())
	}
	problems := f.CheckAgent(t.Context(), deviceOf(path, "ip", "bmc", "adress", "bmc"))
	if len(problems) != 1 || problems[0].Key != "adress" || problems[0].Message != `fence_described does not know the setting "adress"; did you mean "ip"?` {
		t.Errorf("problems %+v", problems)
	}
	script, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	upgraded := strings.Replace(string(script), `<parameter name="ip"/>`, `<parameter name="ip"/><parameter name="adress"/>`, 1)
	if err := os.WriteFile(path, []byte(upgraded), 0o700); err != nil {
		t.Fatal(err)
	}
	if problems := f.CheckAgent(t.Context(), deviceOf(path, "ip", "bmc", "adress", "bmc")); len(problems) != 0 {
		t.Errorf("upgraded: %+v", problems)
	}
}

// An agent that isn't there is told of, by where it was looked for and by what to do; another arbiter may have it.
func TestCheckAgentWarnsOfAnAgentThatIsNotThere(t *testing.T) {
	dir := t.TempDir()
	for method, fix := range map[string]string{
		"fence_ipmilan": "install the package fence-agents (Debian, SUSE) or fence-agents-all (Red Hat)", "fence_xvm": "install the package fence-virt",
		"fence_ipmilann": "did you mean fence_ipmilan? If not, no package", "fence_mine": "no package that Arbiter knows brings it: install it",
		filepath.Join(dir, "folder", "fence_ilo"): "install the package fence-agents ",
	} {
		problems := New(Options{Directories: []string{dir, "/nowhere"}}).CheckAgent(t.Context(), deviceOf(method, "proof", "off"))
		if len(problems) != 1 || !problems[0].Warning || problems[0].Key != "device" || !strings.HasPrefix(problems[0].Fix, fix) {
			t.Fatalf("%s: %+v", method, problems)
		}
		where := dir + "/" + method + ", /nowhere/" + method
		if filepath.IsAbs(method) {
			where = method
		}
		if want := filepath.Base(method) + " is not installed on the arbiter that leads: there is no executable " + where; problems[0].Message != want {
			t.Errorf("got %q, want %q", problems[0].Message, want)
		}
	}
}

func TestCheckAgentSaysNothingWhereItCannotTell(t *testing.T) {
	dir := t.TempDir()
	hangs := filepath.Join(dir, "fence_hangs")
	if err := os.WriteFile(hangs, []byte("#!/bin/sh\nexec tail -f /dev/null\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	ctx, end := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer end()
	for _, method := range []string{"../fence_x", hangs} {
		device := failover.FenceDevice{Method: method, Timeout: time.Hour, Settings: literals("adress", "bmc")}
		if problems := New(Options{}).CheckAgent(ctx, device); len(problems) != 0 {
			t.Errorf("%s: %+v", method, problems)
		}
	}
	if ctx.Err() == nil {
		t.Error("the one that hangs ended before its time")
	}
}

// An agent that can't say what it is is refused, and not armed; one that an upgrade puts in its place is asked anew.
func TestAnAgentIsWhatItIsNow(t *testing.T) {
	path := filepath.Join(t.TempDir(), "fence_mine")
	f := New(Options{})
	device := deviceOf(path, "proof", "off")
	become := func(script string) (armed bool, detail string, problems []Problem) {
		t.Helper()
		if err := os.WriteFile(path, []byte(script), 0o700); err != nil {
			t.Fatal(err)
		}
		status := f.PathStatus(t.Context(), member(level(device)))
		return status.Armed, status.Detail, f.CheckAgent(t.Context(), device)
	}
	const on = "echo 'Status: ON'\n"
	offers := func(actions ...string) string {
		text := "#!/bin/sh\nread action\n[ $action = action=metadata ] && echo '<resource-agent name=\"fence_mine\"><actions>"
		for _, action := range actions {
			text += "<action name=\"" + action + "\"/>"
		}
		return text + "</actions></resource-agent>'\n" + on
	}
	for _, step := range []struct{ name, script, why string }{
		{"right", offers("off", "status"), ""},
		{"says nothing of itself", "#!/bin/sh\n" + on, "the agent's description of itself can't be read: no <resource-agent> in it"},
		{"right again", offers("off", "status", "on"), ""},
		{"fails instead", "#!/bin/sh\nread action\n[ $action = action=metadata ] && exit 1\n" + on, "the agent's description of itself can't be read"},
		{"can't switch off", offers("status"), `fence_mine does not offer the action "off", so it can prove nothing`},
		{"right at last", offers("status", "off"), ""},
	} {
		armed, detail, problems := become(step.script)
		if armed != (step.why == "") || !strings.Contains(detail, step.why) {
			t.Errorf("%s: armed %v, %s", step.name, armed, detail)
		}
		if step.why == "" && len(problems) > 0 || step.why != "" && (len(problems) != 1 || problems[0].Key != "device" || !strings.Contains(problems[0].Message, step.why)) {
			t.Errorf("%s: %+v", step.name, problems)
		}
	}
}

// TestS3_AProgramThatSucceedsAtAllProvesNothing: its status says "on" with every exit, and it can't say what it means by that.
func TestS3_AProgramThatSucceedsAtAllProvesNothing(t *testing.T) {
	f := New(Options{})
	m := member(level(failover.FenceDevice{Method: "/bin/true", Timeout: 300 * time.Millisecond, Settings: literals("proof", "off")}))
	if path := f.PathStatus(t.Context(), m); path.Armed || !strings.Contains(path.Detail, "true: metadata: the agent's description of itself can't be read") {
		t.Errorf("path %+v", path)
	}
	for name, ask := range map[string]func(context.Context, failover.MemberSpec, failover.Policy, Answers) (failover.Proof, []failover.StepTime){
		"isolate": f.Isolate, "read back": f.ReadBack,
	} {
		proof, _ := ask(t.Context(), m, failover.Policy{}, nil)
		if wantProof(t, proof, unknown, "still on"); proof.By != "" {
			t.Errorf("%s: %+v", name, proof)
		}
	}
	for what, problems := range map[string][]Problem{
		"validate": f.Validate(t.Context(), m), "inspect": f.Inspect(t.Context(), m), "apply": f.CheckAgent(t.Context(), m.Fence[0].Devices[0]),
	} {
		if len(problems) != 1 || problems[0].Warning || !strings.Contains(problems[0].Message, "nobody can tell what it does") {
			t.Errorf("%s: %+v", what, problems)
		}
	}
}

// TestS3_AnOffThatNobodyUnderstandsProvesNothing: a program that ends with 2 and says nothing is one that says off, but only if it says what
// its endings mean.
func TestS3_AnOffThatNobodyUnderstandsProvesNothing(t *testing.T) {
	program := filepath.Join(t.TempDir(), "two")
	if err := os.WriteFile(program, []byte("#!/bin/sh\nexit 2\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	f := New(Options{})
	m := member(level(failover.FenceDevice{Method: program, Timeout: time.Second, Settings: literals("proof", "off")}))
	for _, ask := range []func(context.Context, failover.MemberSpec, failover.Policy, Answers) (failover.Proof, []failover.StepTime){f.Isolate, f.ReadBack} {
		proof, _ := ask(t.Context(), m, failover.Policy{}, nil)
		if wantProof(t, proof, unknown, "metadata: the agent's description of itself can't be read"); proof.By != "" {
			t.Errorf("%+v", proof)
		}
	}
}
