package e2e

import (
	"crypto/tls"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/arbiter-ha/arbiter/client"
	"github.com/arbiter-ha/arbiter/internal/lab"
	"github.com/arbiter-ha/arbiter/internal/pki"
	arbiterv1 "github.com/arbiter-ha/arbiter/proto/arbiter/v1"
)

// pems are the certificates of a deployment on disk, which all arbiters and the operator of a lab read from one folder.
type pems struct {
	*stage
	folder  string
	cluster string // the id by which arbiters tell clusters of the same name apart
}

func (p pems) write(name string, text []byte) {
	p.t.Helper()
	p.must(pki.WriteFile(filepath.Join(p.folder, name), text, 0o600, true))
}

func (p pems) read(name string) []byte {
	p.t.Helper()
	text, err := os.ReadFile(filepath.Join(p.folder, name))
	p.must(err)
	return text
}

func (p pems) issue(authority *pki.Authority, role pki.Role, name string) {
	p.t.Helper()
	pair, err := authority.Issue(pki.Request{Role: role, Name: name})
	p.must(err)
	p.write(name+".key", pair.Key)
	p.write(name+".crt", pair.Certificate)
}

// config is how somebody connects with what the files hold now.
func (p pems) config(name string) *tls.Config {
	p.t.Helper()
	config, err := client.TLSFromFiles(filepath.Join(p.folder, "ca.crt"), filepath.Join(p.folder, name+".crt"), filepath.Join(p.folder, name+".key"))
	p.must(err)
	return config
}

// hangup sends SIGHUP and waits until the arbiter says what came of it.
func (p pems) hangup(a *lab.Arbiter, says ...string) {
	p.t.Helper()
	before := len(p.log(a))
	p.must(a.Process().Signal(syscall.SIGHUP))
	p.await(a.Name()+" to follow SIGHUP", func() error {
		for line := range strings.Lines(p.log(a)[before:]) {
			if !strings.Contains(line, "SIGHUP") || !strings.HasSuffix(line, "\n") {
				continue
			}
			for _, words := range says {
				if !strings.Contains(line, words) {
					p.t.Fatalf("%s does not say %q: %s", a.Name(), words, line)
				}
			}
			return nil
		}
		return fmt.Errorf("its log: %s", p.log(a)[before:])
	})
}

// certificatesTaken is what an arbiter says of new certificates.
const certificatesTaken = "SIGHUP: certificates and log level taken"

// shown is the serial number of the certificate that an arbiter shows at each of its ports, to a caller with that configuration, and whether
// it lets the caller in.
func (p pems) shown(a *lab.Arbiter, config *tls.Config) (serials [2]*big.Int, welcome [2]error) {
	p.t.Helper()
	config = config.Clone()
	config.VerifyConnection = nil // whatever is shown is looked at
	for i, port := range []struct{ address, protocol, request string }{
		{a.RaftAddress(), "arbiter-raft/1/" + p.cluster, emptyAppend}, {a.Address(), "h2", helloHTTP2},
	} {
		raw, err := p.Site.Host(lab.ClientHost).Dial(p.ctx, "tcp", port.address)
		p.must(err)
		config.NextProtos = []string{port.protocol}
		connection := tls.Client(raw, config)
		p.must(connection.HandshakeContext(p.ctx))
		serials[i] = connection.ConnectionState().PeerCertificates[0].SerialNumber
		welcome[i] = p.answered(connection, port.request)
		raw.Close()
	}
	return serials, welcome
}

// What each port answers, whatever it thinks of it, once it has let the caller in: a handshake ends for the caller before its certificate is
// looked at.
const (
	emptyAppend = "\x00\x80"                                                             // Raft: append no entries, of term 0
	helloHTTP2  = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00" // with empty settings
)

// answered sends a request and returns the error by which the connection ends instead of an answer.
func (p pems) answered(connection *tls.Conn, request string) error {
	p.t.Helper()
	p.must(connection.SetDeadline(time.Now().Add(time.Minute)))
	_, err := connection.Write([]byte(request))
	if err == nil {
		_, err = connection.Read(make([]byte, 1))
	}
	if os.IsTimeout(err) {
		p.t.Fatalf("%s neither answers nor refuses: %v", connection.RemoteAddr(), err)
	}
	return err
}

// shows asserts that an arbiter shows its present certificate at both ports, and lets in a caller with a present one.
func (p pems) shows(a *lab.Arbiter) {
	p.t.Helper()
	config := p.config(a.Name())
	own, err := config.GetClientCertificate(nil)
	p.must(err)
	serials, welcome := p.shown(a, config)
	for i, port := range []string{"Raft", "API"} {
		if serials[i].Cmp(own.Leaf.SerialNumber) != 0 || welcome[i] != nil {
			p.t.Errorf("the %s port of %s shows certificate %v, and its file holds %v; a caller is told %v", port, a.Name(), serials[i], own.Leaf.SerialNumber, welcome[i])
		}
	}
}

// mistrust is what an arbiter logs when a connection to another one fails for a certificate.
var mistrust = regexp.MustCompile(`.*\[(WARN|ERROR)\].*(tls:|certificate|authority).*`)

// Certificates are rotated on a running cluster, the authority included, by SIGHUP alone: both are trusted, then every arbiter shows a new
// one in turn, then only the new authority is trusted. Nobody fails over, and arbiters trust each other all the time. What is wrong is refused
// with the reason, and the one before it stays in use. New connections, of an arbiter that restarts, of operators and for a failover, then use the new ones.
func TestScenario53_CertificatesRotated(t *testing.T) {
	full(t)
	s := enter(t, plan{own: true})
	known, err := s.api.ListArbiters(s.ctx, &arbiterv1.ListArbitersRequest{})
	s.must(err)
	p := pems{s, filepath.Join(s.Site.Dir(), "tls"), known.GetClusterId()}
	leader, others := s.followers()
	logs := map[*lab.Arbiter]int{}
	for _, a := range s.Arbiters {
		p.shows(a)
		logs[a] = len(s.log(a))
	}
	oldArbiter, oldOperator := p.config(leader.Name()), p.config("operator")
	authority, err := pki.NewAuthority(lab.Cluster)
	s.must(err)

	p.write("ca.crt", append(p.read("ca.crt"), authority.CertificatePEM()...))
	for _, a := range s.Arbiters {
		p.hangup(a, certificatesTaken)
	}
	for _, a := range s.Arbiters {
		p.issue(authority, pki.RoleArbiter, a.Name())
		p.hangup(a, certificatesTaken)
		p.shows(a)
		s.writes(20)
		s.ready()
	}
	p.issue(authority, pki.RoleOperator, "operator")
	p.write("ca.crt", authority.CertificatePEM())
	for _, a := range s.Arbiters {
		p.hangup(a, certificatesTaken)
		p.shows(a)
	}
	s.writes(20)
	s.ready()
	for a, length := range logs {
		if line := mistrust.FindString(s.log(a)[length:]); line != "" {
			t.Errorf("%s and another arbiter did not trust each other: %s", a.Name(), line)
		}
	}
	for _, a := range s.Arbiters {
		if _, welcome := p.shown(a, oldArbiter); welcome[0] == nil || welcome[1] == nil {
			t.Errorf("%s lets a certificate of the authority before in: %v", a.Name(), welcome)
		}
		if _, welcome := p.shown(a, oldOperator); welcome[1] == nil {
			t.Errorf("%s lets an operator of the authority before in", a.Name())
		}
	}
	p.refusesBadFiles(others[0])
	s.nothingDone()
	p.connectsAnew(others[1])
}

// refusesBadFiles gives an arbiter a certificate that was cut off, a key that was, and somebody else's certificate.
func (p pems) refusesBadFiles(a *lab.Arbiter) {
	p.t.Helper()
	config := p.config(a.Name())
	serials, _ := p.shown(a, config)
	for _, bad := range []struct{ ending, from, says string }{
		{".crt", "", "no certificate in PEM"},
		{".key", "", "no private key"},
		{".crt", "operator", "is not the key of"},
	} {
		own := p.read(a.Name() + bad.ending)
		text := own[:len(own)/2]
		if bad.from != "" {
			text = p.read(bad.from + bad.ending)
		}
		p.write(a.Name()+bad.ending, text)
		p.hangup(a, "[ERROR]", "the certificates are wrong, the old ones stay in force", a.Name()+bad.ending, bad.says)
		if now, welcome := p.shown(a, config); now[0].Cmp(serials[0]) != 0 || now[1].Cmp(serials[1]) != 0 || welcome[0] != nil || welcome[1] != nil {
			p.t.Errorf("after a bad %s it shows %v, and showed %v; a caller is told %v", bad.ending, now, serials, welcome)
		}
		p.write(a.Name()+bad.ending, own)
	}
	p.hangup(a, certificatesTaken)
	p.shows(a)
}

// connectsAnew restarts an arbiter, which then has no connection from before, and has another arbiter fail the primary over.
func (p pems) connectsAnew(a *lab.Arbiter) {
	p.t.Helper()
	p.must(p.api.Close())
	var err error
	p.api, err = p.Client()
	p.must(err)
	counts := func(wanted bool) {
		p.await(fmt.Sprintf("the view of %s to count: %t", a.Name(), wanted), func() error {
			views := p.views(p.primary)
			if slices.ContainsFunc(views, func(v *arbiterv1.View) bool { return v.GetNode() == a.Name() && v.GetCounts() }) != wanted {
				return fmt.Errorf("views %v", views)
			}
			return nil
		})
	}
	p.must(a.Kill())
	counts(false)
	p.must(a.Start())
	counts(true)
	p.ready()
	p.takesLogLevel(a)
	leader, _ := p.followers()
	p.must(leader.Kill())
	p.crash()
	to, op := p.failedOver()
	p.promoted(to, op)
	p.must(leader.Start())
	p.until("steady", steady)
	for _, other := range p.Arbiters {
		if debug := strings.Contains(p.log(other), "[DEBUG]"); debug != (other == a) {
			p.t.Errorf("%s has lines of level debug in its log: %t", other.Name(), debug)
		}
	}
}

// takesLogLevel has one arbiter log what the others don't.
func (p pems) takesLogLevel(a *lab.Arbiter) {
	p.t.Helper()
	p.must(addToFile(a, "log: {level: debug}"))
	p.hangup(a, certificatesTaken, "level=debug")
}
