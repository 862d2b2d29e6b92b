//go:build linux

package fence

import (
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/arbiter-ha/arbiter/failover"
	"github.com/arbiter-ha/arbiter/internal/freeport"
)

// elsewhere takes every address for that of another machine.
func elsewhere(netip.Addr) bool { return false }

func TestAnswersAt(t *testing.T) {
	listener, err := net.Listen("tcp", freeport.Address(t))
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	look := AnswersAt(listener.Addr().String(), generous)
	for _, claimed := range []failover.ProofGrade{off, isolated} {
		if answers, detail := look(t.Context(), claimed); !answers || !strings.Contains(detail, "accepts connections at "+listener.Addr().String()) {
			t.Errorf("%s: got %v, %s", claimed, answers, detail)
		}
	}
	began := time.Now()
	blackHole := AnswersAt("192.0.2.1:5432", 50*time.Millisecond) // reserved for documentation: nobody is there, at the most who refuses
	if answers, detail := blackHole(t.Context(), isolated); answers || detail == "" || time.Since(began) > generous/2 {
		t.Errorf("got %v, %s after %v", answers, detail, time.Since(began))
	}
	for _, nowhere := range []string{"no-port", "name.invalid:5432"} {
		if answers, detail := AnswersAt(nowhere, generous)(t.Context(), off); answers || detail == "" {
			t.Errorf("%s: got %v, %q", nowhere, answers, detail)
		}
	}
}

// TestS3_ARefusalContradictsOff: the kernel that refuses runs, and so may what the service has left there. It says nothing of a machine that is
// claimed to be isolated, nor of one whose address is the arbiter's own.
func TestS3_ARefusalContradictsOff(t *testing.T) {
	address := freeport.Address(t)
	for _, c := range []struct {
		name    string
		look    Answers
		claimed failover.ProofGrade
		answers bool
	}{
		{"off", answersAt(address, generous, elsewhere), off, true},
		{"isolated", answersAt(address, generous, elsewhere), isolated, false},
		{"off, on this machine", AnswersAt(address, generous), off, false},
	} {
		answers, detail := c.look(t.Context(), c.claimed)
		if answers != c.answers || !strings.Contains(detail, "refuse") {
			t.Errorf("%s: got %v, %s", c.name, answers, detail)
		}
	}
}

// TestS3_DeviceSaysOffButTheMachineRefuses: such a level gives no proof, and what to look at is said.
func TestS3_DeviceSaysOffButTheMachineRefuses(t *testing.T) {
	r := newRig(t)
	m := member(level(r.device("1", "good", generous)), level(r.device("2", "good", generous, "proof", "isolated")))
	look := answersAt(freeport.Address(t), generous, elsewhere)
	proof, _ := New(Options{}).Isolate(t.Context(), m, failover.Policy{}, look)
	wantProof(t, proof, isolated, "level 1: the devices say off, but", "refuses connections, so its machine runs", "Check its plug")
	m.Fence = m.Fence[:1]
	proof, _ = New(Options{}).ReadBack(t.Context(), m, failover.Policy{}, look)
	wantProof(t, proof, unknown, "the devices say off, but", "refuses connections, so its machine runs", "Check its plug")
}

// TestS3_OneSilentAddressHidesNoOther: a name may have several.
func TestS3_OneSilentAddressHidesNoOther(t *testing.T) {
	at := netip.MustParseAddr("192.0.2.1")
	silent, refused, let := knock{at, os.ErrDeadlineExceeded}, knock{at, syscall.ECONNREFUSED}, knock{at: at}
	for _, c := range []struct {
		knocks        []knock
		off, isolated bool
	}{
		{knocks: []knock{silent, silent}},
		{knocks: []knock{silent, refused}, off: true},
		{knocks: []knock{refused, let}, off: true, isolated: true},
		{knocks: []knock{silent, {at, syscall.EHOSTUNREACH}}},
	} {
		for claimed, want := range map[failover.ProofGrade]bool{off: c.off, isolated: c.isolated} {
			if got, detail := contradict(c.knocks, "db:5432", claimed, elsewhere); got != want {
				t.Errorf("%v, %s: got %v, %s", c.knocks, claimed, got, detail)
			}
		}
	}
}

func TestAllAddressesOfANameAreAsked(t *testing.T) {
	_, port, err := net.SplitHostPort(freeport.Address(t))
	if err != nil {
		t.Fatal(err)
	}
	knocks, err := knockAt(t.Context(), net.JoinHostPort("localhost", port))
	if err != nil || len(knocks) == 0 {
		t.Fatalf("knocks %v, %v", knocks, err)
	}
	for _, k := range knocks {
		if k.err == nil || !isLocal(k.at) {
			t.Errorf("knock %v", k)
		}
	}
}

func TestIsLocal(t *testing.T) {
	own, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range own {
		if ip, ok := netip.AddrFromSlice(a.(*net.IPNet).IP); !ok || !isLocal(ip.Unmap()) {
			t.Errorf("%v is not local", a)
		}
	}
	for address, local := range map[string]bool{"127.0.0.1": true, "127.3.2.1": true, "::1": true, "192.0.2.1": false, "2001:db8::1": false} {
		if got := isLocal(netip.MustParseAddr(address)); got != local {
			t.Errorf("%s: got %v", address, got)
		}
	}
}
