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
		"</parameters></resource-agent>\nXML\n"
	if err := os.WriteFile(path, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	return path, func() int {
		lines, _ := os.ReadFile(filepath.Join(dir, "asked")) // no file yet: never asked
		return strings.Count(string(lines), "x")
	}
}

func TestUnknownAsksAnAgentOnceAndAgainBeforeItRefuses(t *testing.T) {
	path, asked := describing(t, `<parameter name="ip"/>`)
	f := New(Options{})
	for range 3 {
		if problems := f.Unknown(t.Context(), deviceOf(path, "ip", "bmc", "plug", "1", "expect_name", "db1")); len(problems) != 0 {
			t.Fatalf("problems %+v", problems)
		}
	}
	if asked() != 1 {
		t.Errorf("asked %d times", asked())
	}
	problems := f.Unknown(t.Context(), deviceOf(path, "ip", "bmc", "adress", "bmc"))
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
	if problems := f.Unknown(t.Context(), deviceOf(path, "ip", "bmc", "adress", "bmc")); len(problems) != 0 {
		t.Errorf("upgraded: %+v", problems)
	}
}

func TestUnknownSaysNothingWhereItCannotTell(t *testing.T) {
	dir := t.TempDir()
	silent, hangs := filepath.Join(dir, "fence_silent"), filepath.Join(dir, "fence_hangs")
	for path, script := range map[string]string{silent: "#!/bin/sh\nexit 1\n", hangs: "#!/bin/sh\nexec tail -f /dev/null\n"} {
		if err := os.WriteFile(path, []byte(script), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	ctx, end := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer end()
	for _, method := range []string{"fence_nowhere", "../fence_x", silent, hangs} {
		device := failover.FenceDevice{Method: method, Timeout: time.Hour, Settings: literals("adress", "bmc")}
		if problems := New(Options{}).Unknown(ctx, device); len(problems) != 0 {
			t.Errorf("%s: %+v", method, problems)
		}
	}
	if ctx.Err() == nil {
		t.Error("the one that hangs ended before its time")
	}
}
