package main

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/arbiter-ha/arbiter/arbiter"
	"github.com/arbiter-ha/arbiter/failover"
	"github.com/arbiter-ha/arbiter/fence"
	"github.com/arbiter-ha/arbiter/internal/secret"
)

// chatty is a program that ends badly and says all that it was told.
const chatty = `#!/bin/sh
input=$(cat)
case $input in
  *action=metadata*) echo '<resource-agent name="chatty"><parameters><parameter name="password"/></parameters><actions><action name="off"/><action name="status"/></actions></resource-agent>'; exit 0 ;;
esac
echo "it failed, and I was told: $input" | tr '\n' ' ' >&2
exit 1
`

// Whatever the devices, the servers and the routers say, no secret gets into a finding: findings are shown.
func TestInspectors_FindWithoutSecrets(t *testing.T) {
	dir := t.TempDir()
	program, password := filepath.Join(dir, "chatty"), filepath.Join(dir, "password")
	for file, content := range map[string]string{program: chatty, password: "hunter2\n"} {
		if err := os.WriteFile(file, []byte(content), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	setting := failover.Setting{Key: "password", File: password}
	member := failover.MemberSpec{
		Name: "pg-a", Address: rude(t),
		Fence: []failover.FenceLevel{{Devices: []failover.FenceDevice{{Method: program, Timeout: 10 * time.Second, Settings: []failover.Setting{setting, {Key: "proof", Value: "off"}}}}}},
	}
	spec := &failover.Spec{
		Engine: failover.EnginePostgres, Members: []failover.MemberSpec{member},
		Connect: failover.Connect{User: "arbiter", Database: "postgres", SSLMode: "disable", Password: failover.Setting{File: password}},
	}
	route := failover.Route{Router: "command", Name: "front", Settings: []failover.Setting{{Key: "command", Value: program}, setting}}
	all, end := drivers(fence.New(fence.Options{}), new(secret.Reader))
	t.Cleanup(end)
	inspect := all.Inspect
	for name, found := range map[string][]arbiter.Finding{
		"member":  inspect.Member(t.Context(), member, spec),
		"fence":   inspect.Fence(t.Context(), member),
		"route":   inspect.Route(t.Context(), route, "pay", spec, arbiter.Settled{}),
		"arrival": inspect.Arrival(t.Context(), failover.Route{Name: "front", VerifyAddress: rude(t)}, spec, arbiter.Settled{Primary: "pg-a"}),
	} {
		blocked := false
		for _, f := range found {
			blocked = blocked || f.Blocks && f.Next != ""
			if text := fmt.Sprintf("%+v", f); strings.Contains(text, "hunter2") {
				t.Errorf("%s: a secret in %s", name, text)
			}
		}
		if !blocked {
			t.Errorf("%s: nothing blocks, with something to do: %+v", name, found)
		}
	}
}

// A route that nothing proves is worth a word, and blocks nothing.
func TestInspectors_AdviseToVerifyRoutes(t *testing.T) {
	program := filepath.Join(t.TempDir(), "route")
	if err := os.WriteFile(program, []byte("#!/bin/sh\necho '{\"open\": []}'\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	front := failover.Route{Router: "command", Name: "front", Settings: []failover.Setting{{Key: "command", Value: program}}}
	all, end := drivers(fence.New(fence.Options{}), new(secret.Reader))
	t.Cleanup(end)
	inspect := all.Inspect
	found := inspect.Route(t.Context(), front, "pay", &failover.Spec{}, arbiter.Settled{})
	if len(found) != 1 || found[0].Blocks || !strings.Contains(found[0].What, "route front has no verify_address") || found[0].Next == "" {
		t.Errorf("without an address: %+v", found)
	}
	front.VerifyAddress = "db:5432"
	if found = inspect.Route(t.Context(), front, "pay", &failover.Spec{}, arbiter.Settled{}); len(found) != 0 {
		t.Errorf("with one: %+v", found)
	}
}

// Where automation leaves the routes alone, a finding about clients that go astray does not say that it brings them back.
func TestInspectors_TellWhoBringsClientsBack(t *testing.T) {
	program := filepath.Join(t.TempDir(), "route")
	if err := os.WriteFile(program, []byte("#!/bin/sh\necho '{\"open\": []}'\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	front := failover.Route{Router: "command", Name: "front", VerifyAddress: "db:5432", Settings: []failover.Setting{{Key: "command", Value: program}}}
	spec := &failover.Spec{Members: []failover.MemberSpec{{Name: "pg-a", Address: "127.0.0.1:5432"}}}
	all, end := drivers(fence.New(fence.Options{}), new(secret.Reader))
	t.Cleanup(end)
	for leftAlone, want := range map[string]string{"": "automation brings them back", "pay is paused": "bring them back by hand: automation leaves the routes alone, since pay is paused"} {
		found := all.Inspect.Route(t.Context(), front, "pay", spec, arbiter.Settled{Primary: "pg-a", LeftAlone: leftAlone})
		if len(found) != 1 || !strings.HasPrefix(found[0].Next, want) {
			t.Errorf("left alone %q: %+v", leftAlone, found)
		}
	}
}

// rude is a server that refuses whoever comes.
func rude(t *testing.T) string {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			connection, err := listener.Accept()
			if err != nil {
				return
			}
			_, _ = connection.Write([]byte("E\x00\x00\x00\x20SFATAL\x00C28P01\x00Mno, arbiter\x00\x00"))
			connection.Close()
		}
	}()
	return listener.Addr().String()
}
