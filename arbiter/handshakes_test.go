package arbiter

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"strings"
	"testing"

	"github.com/arbiter-ha/arbiter/failover"
	"github.com/arbiter-ha/arbiter/internal/clock"
	"github.com/arbiter-ha/arbiter/internal/pki"
)

// certificateOf is one for az-a, of a new authority of a cluster.
func certificateOf(t *testing.T, cluster string) *pki.Reloader {
	t.Helper()
	authority, err := pki.NewAuthority(cluster)
	if err != nil {
		t.Fatal(err)
	}
	files, err := authority.IssueTo(t.TempDir(), pki.Request{Role: pki.RoleArbiter, Name: "az-a"}, false)
	if err != nil {
		t.Fatal(err)
	}
	reloader, err := pki.NewReloader(files)
	if err != nil {
		t.Fatal(err)
	}
	return reloader
}

// The name of the cluster is kept with the data once another arbiter has accepted the certificate, and not before: else one start with a
// wrong certificate would spoil a directory of before the name was kept.
func TestClusterName_IsKeptOnceAccepted_AndThenHeldTo(t *testing.T) {
	folder, storage := t.TempDir(), MemoryStorage()
	marks := fileMark{folder}
	if err := storage.bootstrap("1", raftServers(threeArbiters)); err != nil {
		t.Fatal(err)
	}
	self := standing("az-a", BootstrapMember, "1")
	if err := marks.write(mark{Node: "az-a", ClusterID: "1", State: BootstrapMember, ListHash: self.ListHash, List: self.List}); err != nil {
		t.Fatal(err)
	}
	start := func(certificate *pki.Reloader, answer error) error {
		b, err := NewBootstrap(BootstrapOptions{
			Node: "az-a", List: threeArbiters, Folder: folder, Storage: storage, Clock: clock.System(), Log: quiet(), TLS: certificate,
			Peers: peersFunc(func(_ context.Context, peer failover.NodeID) (BootstrapStatus, error) {
				return standing(peer, BootstrapMember, "1"), answer
			}),
		})
		if err == nil {
			_, err = b.Run(t.Context())
		}
		return err
	}
	name := func() string {
		m, _, err := marks.read()
		if err != nil {
			t.Fatal(err)
		}
		return m.ClusterName
	}
	lab, other := certificateOf(t, "lab"), certificateOf(t, "other")
	if err := start(other, ErrNotTrusted); err != nil || name() != "" {
		t.Errorf("with a certificate that nobody accepted: %v, cluster %q", err, name())
	}
	if err := start(nil, nil); err != nil || name() != "" {
		t.Errorf("in plaintext: %v, cluster %q", err, name())
	}
	if err := start(lab, nil); err != nil || name() != "lab" {
		t.Errorf("with a certificate that others accepted: %v, cluster %q", err, name())
	}
	for what, err := range map[string]error{"a start": start(other, nil), "a look at the data": CheckData(folder, "az-a", other)} {
		if !errors.Is(err, ErrOtherClusterID) {
			t.Errorf("%s with a certificate of another cluster: %v", what, err)
			continue
		}
		for _, part := range []string{folder, `of cluster "lab"`, other.Files().Certificate, `of cluster "other"`, "arbiterctl pki issue --role arbiter az-a"} {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("%s: %q doesn't say %q", what, err, part)
			}
		}
	}
	if err := CheckData(folder, "az-b", lab); !errors.Is(err, ErrBadMark) {
		t.Errorf("of another arbiter: %v", err)
	}
	for what, err := range map[string]error{
		"the right one": CheckData(folder, "az-a", lab), "plaintext": CheckData(folder, "az-a", nil), "a new folder": CheckData(t.TempDir(), "az-a", other),
		"none": CheckData(folder+"/none", "az-a", other),
	} {
		if err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// Who is not let in at the Raft port is named in the error that Raft's transport logs.
func TestRaftPort_NamesWhomItRefuses(t *testing.T) {
	layer, err := listenStreams(NetworkOptions{Listen: "127.0.0.1:0", ClusterID: "1", TLS: certificateOf(t, "lab"), Timing: lan(), Log: quiet()})
	if err != nil {
		t.Fatal(err)
	}
	defer layer.Close()
	stranger := tls.Client(dial(t, layer.Addr().String()), certificateOf(t, "other").Client(pki.Peer{Roles: []pki.Role{pki.RoleArbiter}}))
	defer stranger.Close()
	shaken := make(chan error, 1)
	go func() { shaken <- stranger.HandshakeContext(t.Context()) }()
	conn, err := layer.Accept()
	if err != nil {
		t.Fatal(err)
	}
	_, err = conn.Read(make([]byte, 1))
	var refused *net.OpError
	if !errors.As(err, &refused) || refused.Addr == nil || refused.Addr.String() != stranger.LocalAddr().String() {
		t.Errorf("refused %s with %v", stranger.LocalAddr(), err)
	}
	if err := <-shaken; !pki.Refuses(err) {
		t.Errorf("the stranger got %v", err)
	}
}

func dial(t *testing.T, address string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	return conn
}
