package standin_test

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/arbiter-ha/arbiter/internal/lab/standin"
	"github.com/arbiter-ha/arbiter/internal/lab/standin/standintest"
	"github.com/arbiter-ha/arbiter/internal/serviceapi"
)

func TestMain(m *testing.M) { os.Exit(standintest.Main(m.Run)) }

func ordered(t *testing.T, s *standintest.Server, verb serviceapi.Verb, o serviceapi.Order) {
	t.Helper()
	if refused := s.Do(verb, o); refused != nil {
		t.Fatalf("%s on %s: %v", verb, s.Name, refused)
	}
}

func TestAcknowledgedOrdersSurviveKill(t *testing.T) {
	a := standintest.Start(t, "a", "b")
	b := a.Standby("b")
	acked := a.Append(t.Context(), "w", 50)
	a.Kill()
	for _, s := range []*standintest.Server{b, a} {
		s.Kill()
		s.Start()
		if have := len(s.Orders("w")); acked != 50 || have != acked {
			t.Errorf("%d of 50 were acknowledged, %s has %d after kill -9", acked, s.Name, have)
		}
	}
	b.Await("streaming again", func(st serviceapi.State) bool { return st.Streaming })
}

// While the standby that its rule names is frozen, a primary acknowledges nothing; what waits is acknowledged when it wakes.
func TestPrimaryWaitsForItsSynchronousStandby(t *testing.T) {
	a := standintest.Start(t, "a", "b")
	b := a.Standby("b")
	a.Standby("c") // doesn't count
	b.Freeze()
	short, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if acked := a.Append(short, "w", 1); acked != 0 {
		t.Error("an order was acknowledged without the standby")
	}
	b.Thaw()
	if acked := a.Append(t.Context(), "w2", 3); acked != 3 {
		t.Errorf("%d of 3 were acknowledged after it woke", acked)
	}
	if have := len(b.Orders("w2")); have != 3 {
		t.Errorf("b has %d of 3", have)
	}
}

// A record that a crash has cut off in its middle is dropped at the start; what was acknowledged before is there.
func TestTornRecordIsDropped(t *testing.T) {
	for _, damage := range []string{"\x00", "\x00\x00\x00\x20\x01\x02\x03\x04half", "\x00\x00\x00\x04\x00\x00\x00\x00text", "\xff\xff\xff\xff\x00\x00\x00\x00"} {
		a := standintest.Start(t, "a")
		a.Append(t.Context(), "w", 5)
		a.Kill()
		file, err := os.OpenFile(filepath.Join(a.Dir(), "log"), os.O_APPEND|os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := file.WriteString(damage); err != nil {
			t.Fatal(err)
		}
		if err := file.Close(); err != nil {
			t.Fatal(err)
		}
		a.Start()
		a.Append(t.Context(), "w2", 2)
		if w, w2 := len(a.Orders("w")), len(a.Orders("w2")); w != 5 || w2 != 2 {
			t.Errorf("after %q: %d of 5 and %d of 2 orders", damage, w, w2)
		}
	}
}

// A crash between the two writes of a promotion is made good at the next start.
func TestPromotionThatACrashInterruptedIsEnded(t *testing.T) {
	a := standintest.Start(t, "a")
	b := a.Standby("b")
	b.Kill()
	control := `{"role":"primary","timeline":2,"epoch":5}`
	if err := os.WriteFile(filepath.Join(b.Dir(), "control.json"), []byte(control), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		b.Start()
		if st := b.State(); st.Role != serviceapi.RolePrimary || st.Timeline != 2 || st.Epoch != 5 {
			t.Errorf("b says %+v", st)
		}
		b.Kill()
	}
}

// A former primary that went on alone holds what the new one has not: it gets no log, and nothing of it is lost.
func TestDivergedPrimaryIsRefused(t *testing.T) {
	a := standintest.Start(t, "a")
	b := a.Standby("b")
	ordered(t, b, serviceapi.VerbStop, serviceapi.Order{Epoch: 2})
	a.Append(t.Context(), "alone", 3)
	ordered(t, b, serviceapi.VerbPromote, serviceapi.Order{Epoch: 2})
	b.Append(t.Context(), "w", 10)
	a.Kill()
	a.Follow(b)
	st := a.Await("refused", func(st serviceapi.State) bool { return strings.Contains(st.Trouble, "diverged") })
	if st.Streaming || len(a.Orders("alone")) != 3 {
		t.Errorf("a says %+v", st)
	}
}

// A former primary that holds nothing of its own follows the new one from where it stands.
func TestPrimaryThatWasTakenOverCleanlyFollows(t *testing.T) {
	a := standintest.Start(t, "a")
	b := a.Standby("b")
	end := a.State().Written
	b.Await("level with a", func(st serviceapi.State) bool { return st.Received == end })
	a.Kill()
	ordered(t, b, serviceapi.VerbToken, serviceapi.Order{Epoch: 2})
	ordered(t, b, serviceapi.VerbPromote, serviceapi.Order{Epoch: 2})
	b.Append(t.Context(), "w", 4)
	a.Follow(b)
	a.Await("on timeline 2", func(st serviceapi.State) bool {
		return st.Streaming && st.Timeline == 2 && st.Received == b.State().Written
	})
	if have := len(a.Orders("w")); have != 4 {
		t.Errorf("a has %d of 4", have)
	}
}

func TestRefusals(t *testing.T) {
	a := standintest.Start(t, "a")
	b := a.Standby("b")
	for _, test := range []struct {
		server *standintest.Server
		verb   serviceapi.Verb
		order  serviceapi.Order
		want   serviceapi.Code
	}{
		{a, serviceapi.VerbToken, serviceapi.Order{}, serviceapi.CodeBadOrder},
		{a, serviceapi.VerbStop, serviceapi.Order{Epoch: 3}, serviceapi.CodeNotStandby},
		{a, serviceapi.VerbFollow, serviceapi.Order{Epoch: 3, Primary: b.Peer()}, serviceapi.CodeNotStandby},
		{a, serviceapi.VerbProof, serviceapi.Order{Epoch: 3, Member: "a"}, serviceapi.CodeOtherRow},
		{b, serviceapi.VerbFollow, serviceapi.Order{Epoch: 3}, serviceapi.CodeBadOrder},
		{b, serviceapi.VerbPromote, serviceapi.Order{Epoch: 3}, serviceapi.CodeOlderToken},
		{b, serviceapi.VerbRow, serviceapi.Order{Epoch: 3}, serviceapi.CodeNotPrimary},
		{b, serviceapi.VerbProof, serviceapi.Order{Epoch: 3}, serviceapi.CodeNotPrimary},
		{b, serviceapi.VerbProbe, serviceapi.Order{Arbiter: "az-a"}, serviceapi.CodeNotPrimary},
		{b, serviceapi.VerbToken, serviceapi.Order{Epoch: 3, SystemID: "another"}, serviceapi.CodeWrongSystem},
	} {
		refused := test.server.Do(test.verb, test.order)
		if refused == nil || refused.Code != test.want {
			t.Errorf("%s on %s with %+v: %v, want %s", test.verb, test.server.Name, test.order, refused, test.want)
		}
	}
	if st := b.State(); st.Epoch != 0 || st.Role != serviceapi.RoleStandby || !st.Streaming {
		t.Errorf("b says %+v", st)
	}
}

func TestSessionsOfClientsAreEnded(t *testing.T) {
	a := standintest.Start(t, "a")
	dialled := 0
	client := standin.NewClient(a.Address, func(ctx context.Context, network, address string) (net.Conn, error) {
		dialled++
		return (&net.Dialer{}).DialContext(ctx, network, address)
	})
	defer client.Drop()
	appended := func(number int64) error {
		_, err := client.Append(t.Context(), "w", number)
		return err
	}
	if err := appended(1); err != nil {
		t.Fatal(err)
	}
	ordered(t, a, serviceapi.VerbEndSessions, serviceapi.Order{Epoch: 1})
	_ = appended(2) // whether it still met the old connection is chance
	if err := appended(3); err != nil || dialled != 2 {
		t.Errorf("the client has connected %d times, %v", dialled, err)
	}
}
