package arbiter

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/raft"

	"github.com/arbiter-ha/arbiter/internal/clock"
	"github.com/arbiter-ha/arbiter/internal/pki"
)

// scriptedTransport answers AppendEntries as a test says, and hands heartbeats to whoever asked for them.
type scriptedTransport struct {
	innerTransport
	answer   func(id raft.ServerID, request *raft.AppendEntriesRequest, response *raft.AppendEntriesResponse) error
	requests chan raft.RPC
	fast     func(raft.RPC)
}

func (s *scriptedTransport) AppendEntries(id raft.ServerID, _ raft.ServerAddress, request *raft.AppendEntriesRequest, response *raft.AppendEntriesResponse) error {
	return s.answer(id, request, response)
}

func (s *scriptedTransport) Consumer() <-chan raft.RPC { return s.requests }

func (s *scriptedTransport) SetHeartbeatHandler(handle func(raft.RPC)) { s.fast = handle }

func TestStampingTransport_KeepsWhenAnsweredRequestsWereSent(t *testing.T) {
	type exchange struct {
		term    uint64 // of the request
		success bool
		reply   uint64 // term of the answer
		err     error
		late    bool // answered after the next one
	}
	ok := func(term uint64) exchange { return exchange{term: term, success: true, reply: term} }
	tests := map[string]struct {
		exchanges []exchange
		term      uint64
		counts    int // which exchange's send is remembered in that term, from 1; 0: none
	}{
		"nothing yet":                      {nil, 3, 0},
		"answered":                         {[]exchange{ok(3)}, 3, 1},
		"the latest counts":                {[]exchange{ok(3), ok(3)}, 3, 2},
		"refused":                          {[]exchange{{term: 3, reply: 3}}, 3, 0},
		"lost":                             {[]exchange{{term: 3, success: true, reply: 3, err: errLost}}, 3, 0},
		"answered from a later term":       {[]exchange{{term: 3, success: true, reply: 4}}, 3, 0},
		"another term":                     {[]exchange{ok(3)}, 4, 0},
		"a later term takes over":          {[]exchange{ok(3), ok(4)}, 4, 2},
		"a later term voids an earlier":    {[]exchange{ok(3), ok(4)}, 3, 0},
		"overtaken":                        {[]exchange{{term: 3, success: true, reply: 3, late: true}, ok(3)}, 3, 2},
		"overtaken by the next term":       {[]exchange{{term: 3, success: true, reply: 3, late: true}, ok(4)}, 4, 2},
		"a failure leaves what was before": {[]exchange{ok(3), {term: 3, err: errLost}}, 3, 1},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			c := clock.NewFake(time.Hour, time.Time{})
			proceed := make(chan struct{})
			started := make(chan struct{}, 1)
			inner := &scriptedTransport{answer: func(_ raft.ServerID, request *raft.AppendEntriesRequest, response *raft.AppendEntriesResponse) error {
				one := test.exchanges[request.PrevLogEntry]
				if one.late {
					started <- struct{}{}
					<-proceed
				} else {
					c.Advance(time.Minute) // an answer takes its time; what counts is when it was asked for
				}
				*response = raft.AppendEntriesResponse{Term: one.reply, Success: one.success}
				return one.err
			}}
			transport := NewStampingTransport(inner, c)
			defer transport.Close()
			sent := map[int]time.Duration{}
			var late chan error
			for i, one := range test.exchanges {
				c.Advance(time.Second)
				sent[i+1] = c.Boot()
				send := func() error {
					return transport.AppendEntries("az-b", "", &raft.AppendEntriesRequest{Term: one.term, PrevLogEntry: uint64(i)}, &raft.AppendEntriesResponse{})
				}
				if one.late {
					late = make(chan error, 1)
					go func() { late <- send() }()
					<-started
					continue
				}
				if err := send(); !errors.Is(err, one.err) {
					t.Errorf("AppendEntries = %v, want %v", err, one.err)
				}
			}
			if late != nil {
				close(proceed)
				<-late
			}
			at, ok := transport.AnsweredSince("az-b", test.term)
			if ok != (test.counts > 0) || ok && at != sent[test.counts] {
				t.Errorf("answered since %v, %v; sent were %v, want number %d", at, ok, sent, test.counts)
			}
			if _, ok := transport.AnsweredSince("az-c", test.term); ok {
				t.Error("a peer that was never asked has answered")
			}
		})
	}
}

func TestStampingTransport_DeclinesPipelines(t *testing.T) {
	transport := NewStampingTransport(&scriptedTransport{}, clock.System())
	defer transport.Close()
	if _, err := transport.AppendEntriesPipeline("az-b", ""); !errors.Is(err, raft.ErrPipelineReplicationNotSupported) {
		t.Errorf("AppendEntriesPipeline = %v", err)
	}
}

func TestStampingTransport_HeartbeatsThatChangeTheTermGoThroughTheMainLoop(t *testing.T) {
	tests := map[string]struct {
		rule func(uint64) bool
		fast bool
	}{
		"before Raft runs": {nil, false},
		"same term":        {func(term uint64) bool { return term == 3 }, true},
		"another term":     {func(term uint64) bool { return term == 2 }, false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			inner := &scriptedTransport{requests: make(chan raft.RPC)}
			transport := NewStampingTransport(inner, clock.System())
			defer transport.Close()
			fast := make(chan raft.RPC, 1)
			transport.SetHeartbeatHandler(func(rpc raft.RPC) { fast <- rpc })
			if test.rule != nil {
				transport.letBypass(test.rule)
			}
			go inner.fast(raft.RPC{Command: &raft.AppendEntriesRequest{Term: 3}, RespChan: make(chan raft.RPCResponse, 1)})
			select {
			case <-fast:
				if !test.fast {
					t.Error("the heartbeat bypassed the main loop")
				}
			case <-transport.Consumer():
				if test.fast {
					t.Error("the heartbeat went through the main loop")
				}
			}
		})
	}
}

func TestStampingTransport_CloseAnswersWhatNobodyTakes(t *testing.T) {
	inner := &scriptedTransport{requests: make(chan raft.RPC)}
	transport := NewStampingTransport(inner, clock.System())
	answer := make(chan raft.RPCResponse, 1)
	inner.requests <- raft.RPC{Command: &raft.RequestVoteRequest{}, RespChan: answer}
	if err := errors.Join(transport.Close(), transport.Close()); err != nil {
		t.Fatal(err)
	}
	if got := <-answer; !errors.Is(got.Error, raft.ErrTransportShutdown) {
		t.Errorf("answered %v, want ErrTransportShutdown", got.Error)
	}
}

// testAuthority issues identities for real connections.
type testAuthority struct {
	t         *testing.T
	authority *pki.Authority
}

func newTestAuthority(t *testing.T, cluster string) testAuthority {
	t.Helper()
	authority, err := pki.NewAuthority(cluster)
	if err != nil {
		t.Fatal(err)
	}
	return testAuthority{t, authority}
}

func (a testAuthority) identity(role pki.Role, name string) *pki.Reloader {
	a.t.Helper()
	files, err := a.authority.IssueTo(filepath.Join(a.t.TempDir(), name), pki.Request{Role: role, Name: name}, false)
	if err != nil {
		a.t.Fatal(err)
	}
	reloader, err := pki.NewReloader(files)
	if err != nil {
		a.t.Fatal(err)
	}
	return reloader
}

// listen makes a transport on a free port that answers every heartbeat in the request's term.
func listen(t *testing.T, options NetworkOptions) innerTransport {
	t.Helper()
	options.Timing, options.Log = lan(), quiet()
	if options.Listen == "" {
		options.Listen = "127.0.0.1:0"
	}
	transport, err := NewNetworkTransport(options)
	if err != nil {
		t.Fatal(err)
	}
	return serve(t, transport)
}

// serve answers every heartbeat with success until the test ends.
func serve(t *testing.T, transport innerTransport) innerTransport {
	done := make(chan struct{})
	t.Cleanup(func() {
		close(done)
		_ = transport.(raft.WithClose).Close()
	})
	go func() {
		for {
			select {
			case rpc := <-transport.Consumer():
				term := rpc.Command.(*raft.AppendEntriesRequest).Term
				rpc.Respond(&raft.AppendEntriesResponse{Term: term, Success: true}, nil)
			case <-done:
				return
			}
		}
	}()
	return transport
}

func heartbeat(from innerTransport, to raft.ServerID, address raft.ServerAddress) error {
	response := &raft.AppendEntriesResponse{}
	err := from.AppendEntries(to, address, &raft.AppendEntriesRequest{Term: 3}, response)
	if err == nil && (!response.Success || response.Term != 3) {
		return fmt.Errorf("answered %+v", response)
	}
	return err
}

func TestNetworkTransport_WhoReachesWhom(t *testing.T) {
	prod := newTestAuthority(t, "prod")
	a, b := prod.identity(pki.RoleArbiter, "az-a"), prod.identity(pki.RoleArbiter, "az-b")
	stranger := newTestAuthority(t, "staging").identity(pki.RoleArbiter, "az-b")
	tests := map[string]struct {
		from, to NetworkOptions
		meant    raft.ServerID
		want     error
		says     string
	}{
		"arbiter to arbiter":               {NetworkOptions{TLS: a, ClusterID: "1"}, NetworkOptions{TLS: b, ClusterID: "1"}, "az-b", nil, ""},
		"over IPv6":                        {NetworkOptions{TLS: a, ClusterID: "1"}, NetworkOptions{TLS: b, ClusterID: "1", Listen: "[::1]:0"}, "az-b", nil, ""},
		"plain, by request":                {NetworkOptions{Insecure: true}, NetworkOptions{Insecure: true}, "az-b", nil, ""},
		"another arbiter answers":          {NetworkOptions{TLS: a, ClusterID: "1"}, NetworkOptions{TLS: b, ClusterID: "1"}, "az-c", pki.ErrWrongRole, `arbiter "az-b", and "az-c" is needed`},
		"another cluster of the same name": {NetworkOptions{TLS: a, ClusterID: "1"}, NetworkOptions{TLS: b, ClusterID: "2"}, "az-b", ErrOtherRaftCluster, "has the id 1"},
		"another authority":                {NetworkOptions{TLS: a, ClusterID: "1"}, NetworkOptions{TLS: stranger, ClusterID: "1"}, "az-b", pki.ErrOtherCluster, `"staging"`},
		"plain to TLS":                     {NetworkOptions{Insecure: true}, NetworkOptions{TLS: b, ClusterID: "1"}, "az-b", io.EOF, ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			from, to := listen(t, test.from), listen(t, test.to)
			err := heartbeat(from, test.meant, to.LocalAddr())
			if test.want == io.EOF { // how the other end hangs up is not ours to say
				if err == nil {
					t.Error("a plain connection was served")
				}
				return
			}
			if !errors.Is(err, test.want) || (err != nil) != (test.want != nil) {
				t.Fatalf("heartbeat = %v, want %v", err, test.want)
			}
			if err != nil && !strings.Contains(err.Error(), test.says) {
				t.Errorf("%q doesn't say %q", err, test.says)
			}
		})
	}
}

func TestNetworkTransport_NeedsCertificatesOfAnArbiter(t *testing.T) {
	if _, err := NewNetworkTransport(NetworkOptions{Listen: "127.0.0.1:0", Timing: lan(), Log: quiet()}); err == nil || !strings.Contains(err.Error(), "no certificates") {
		t.Errorf("without certificates: %v", err)
	}
	operator := newTestAuthority(t, "prod").identity(pki.RoleOperator, "dana")
	if _, err := NewNetworkTransport(NetworkOptions{Listen: "127.0.0.1:0", TLS: operator, Timing: lan(), Log: quiet()}); err == nil || !strings.Contains(err.Error(), "role arbiter") {
		t.Errorf("with an operator's: %v", err)
	}
	if _, err := NewNetworkTransport(NetworkOptions{Listen: "127.0.0.1:0", Advertise: "az-a", Insecure: true, Timing: lan(), Log: quiet()}); err == nil || !strings.Contains(err.Error(), "advertise") {
		t.Errorf("with half an address: %v", err)
	}
}

func TestNetworkTransport_AdvertisesAName(t *testing.T) {
	transport := listen(t, NetworkOptions{Insecure: true, Listen: "[::]:0", Advertise: "az-a.internal:7400"})
	if got := transport.LocalAddr(); got != "az-a.internal:7400" {
		t.Errorf("LocalAddr() = %s", got)
	}
}

// A caller that says nothing must not keep others waiting, and Close ends it, as every other connection.
func TestNetworkTransport_CloseEndsEveryConnection(t *testing.T) {
	prod := newTestAuthority(t, "prod")
	from := listen(t, NetworkOptions{TLS: prod.identity(pki.RoleArbiter, "az-a"), ClusterID: "1"})
	layer, err := listenStreams(NetworkOptions{Listen: "127.0.0.1:0", TLS: prod.identity(pki.RoleArbiter, "az-b"), ClusterID: "1", Timing: lan(), Log: quiet()})
	if err != nil {
		t.Fatal(err)
	}
	to := serve(t, newPinnedTransport(layer))
	mute, err := net.Dial("tcp", string(to.LocalAddr()))
	if err != nil {
		t.Fatal(err)
	}
	defer mute.Close()
	if err := heartbeat(from, "az-b", to.LocalAddr()); err != nil {
		t.Fatal(err)
	}
	open := func() int {
		layer.mu.Lock()
		defer layer.mu.Unlock()
		return len(layer.open)
	}
	if open() != 2 {
		t.Errorf("%d connections are open, want the mute one and the other", open())
	}
	if err := to.(raft.WithClose).Close(); err != nil {
		t.Fatal(err)
	}
	_ = mute.SetReadDeadline(time.Now().Add(10 * time.Second))
	if _, err := mute.Read(make([]byte, 1)); err == nil || errors.Is(err, context.DeadlineExceeded) || isTimeout(err) {
		t.Errorf("the mute connection is still open: %v", err)
	}
	if err := heartbeat(from, "az-b", to.LocalAddr()); err == nil {
		t.Error("a closed transport still answers")
	}
	if open() != 0 {
		t.Errorf("%d connections are left", open())
	}
}

func isTimeout(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}
