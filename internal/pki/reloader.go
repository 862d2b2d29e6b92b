package pki

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"slices"
	"sync/atomic"

	"github.com/arbiter-ha/arbiter/internal/secret"
)

// Reloader serves an identity to TLS and re-reads its files when told to, usually at SIGHUP.
type Reloader struct {
	files   Files
	disk    *secret.Reader
	current atomic.Pointer[loaded]
}

// NewReloader reads the files for the first time.
func NewReloader(files Files) (*Reloader, error) {
	r := &Reloader{files: files, disk: new(secret.Reader)}
	first, err := load(r.disk, files)
	if err != nil {
		return nil, err
	}
	r.current.Store(first)
	return r, nil
}

// Reload reads the files again. New handshakes use them from then on. If they can't be used, or if they say that this
// process is somebody else, or a file system doesn't answer in time, nothing changes.
func (r *Reloader) Reload() error {
	next, err := load(r.disk, r.files)
	if err != nil {
		return fmt.Errorf("reload certificates (the old ones stay in use): %w", err)
	}
	was := r.current.Load().identity
	if next.identity.Cluster != was.Cluster || next.identity.Role != was.Role || next.identity.Name != was.Name {
		return fmt.Errorf("reload certificates (the old ones stay in use): %w: %s is of %s, and this process is %s", ErrWrongRole, r.files.Certificate, next.identity, was)
	}
	r.current.Store(next)
	return nil
}

// Identity is who this process is.
func (r *Reloader) Identity() Identity { return r.current.Load().identity }

// Files are where it was read from.
func (r *Reloader) Files() Files { return r.files }

// Peer says who is welcome at the other end of a connection.
type Peer struct {
	Roles []Role
	Name  string // empty: anybody with one of the roles
}

// Server returns a configuration that asks the caller for a certificate and lets in only the given peers. It follows
// every Reload. Set NextProtos on it freely.
func (r *Reloader) Server(peer Peer) *tls.Config {
	return &tls.Config{
		MinVersion:     tls.VersionTLS13,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return &r.current.Load().own, nil },
		// "Any", because VerifyConnection checks the chain itself: it can say why, and it reads the authorities anew.
		ClientAuth:             tls.RequireAnyClientCert,
		VerifyConnection:       r.verifier(peer, x509.ExtKeyUsageClientAuth),
		SessionTicketsDisabled: true, // a resumed session would skip the key of a certificate that was replaced since
	}
}

// Client returns a configuration that presents the own certificate and talks only to the given peers. It follows every
// Reload. Set NextProtos and ServerName on it freely: the name isn't checked, the identity is (see the package comment).
func (r *Reloader) Client(peer Peer) *tls.Config {
	return &tls.Config{
		MinVersion:           tls.VersionTLS13,
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &r.current.Load().own, nil },
		// This switches off only the check of the host name and its built-in chain check; VerifyConnection, which is
		// called on every handshake, checks the chain and the identity.
		InsecureSkipVerify: true,
		VerifyConnection:   r.verifier(peer, x509.ExtKeyUsageServerAuth),
	}
}

// verifier returns the check of a finished handshake.
func (r *Reloader) verifier(peer Peer, usage x509.ExtKeyUsage) func(tls.ConnectionState) error {
	return func(state tls.ConnectionState) error {
		if len(state.PeerCertificates) == 0 {
			return fmt.Errorf("%w: the peer presented none", ErrUntrusted)
		}
		if _, err := r.current.Load().checkChain(state.PeerCertificates, usage); err != nil {
			return err
		}
		return peer.welcomes(state.PeerCertificates[0])
	}
}

func (p Peer) welcomes(certificate *x509.Certificate) error {
	identity, err := CertificateIdentity(certificate)
	if err != nil {
		return err
	}
	if !slices.Contains(p.Roles, identity.Role) {
		return fmt.Errorf("%w: the peer is %s, and one of %v is needed here", ErrWrongRole, identity.holder(), p.Roles)
	}
	if p.Name != "" && p.Name != identity.Name {
		return fmt.Errorf("%w: the peer is %s, and %q is needed here; check the addresses", ErrWrongRole, identity.holder(), p.Name)
	}
	return nil
}

// PeerIdentity tells who is at the other end of a connection that was made with one of the configurations above.
func PeerIdentity(state tls.ConnectionState) (Identity, error) {
	if !state.HandshakeComplete || len(state.PeerCertificates) == 0 {
		return Identity{}, fmt.Errorf("%w: the connection has no finished handshake with a certificate", ErrUntrusted)
	}
	return CertificateIdentity(state.PeerCertificates[0])
}
