package pki

import (
	"bytes"
	"context"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"runtime"
	"time"

	"github.com/arbiter-ha/arbiter/internal/secret"
)

// Files are the paths that make up an identity on disk, all PEM.
type Files struct {
	Authorities string // the cluster's authority; during a change of it, the old and the new one
	Certificate string
	Key         string
}

// loaded is what Files held when they were read: checked, and never changed afterwards.
type loaded struct {
	files    Files
	own      tls.Certificate
	identity Identity
	roots    *x509.CertPool
	issuer   *x509.Certificate // see issuerOf
}

// readLimit is how long the file systems of the three files may take together.
const readLimit = 5 * time.Second

// load reads the files and checks everything that a peer would.
func load(disk *secret.Reader, files Files) (*loaded, error) {
	ctx, cancel := secret.Within(context.Background(), readLimit)
	defer cancel()
	authorities, err := readCertificates(ctx, disk, files.Authorities)
	if err != nil {
		return nil, err
	}
	chain, err := readCertificates(ctx, disk, files.Certificate)
	if err != nil {
		return nil, err
	}
	key, err := readKey(ctx, disk, files.Key)
	if err != nil {
		return nil, err
	}
	public, ok := key.Public().(interface{ Equal(crypto.PublicKey) bool })
	if !ok || !public.Equal(chain[0].PublicKey) {
		return nil, fmt.Errorf("%w: %s is not the key of %s", ErrBadFiles, files.Key, files.Certificate)
	}
	identity, err := CertificateIdentity(chain[0])
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", files.Certificate, err)
	}
	l := &loaded{files: files, identity: identity, roots: x509.NewCertPool()}
	for _, authority := range authorities {
		l.roots.AddCert(authority)
	}
	l.own = tls.Certificate{PrivateKey: key, Leaf: chain[0]}
	for _, certificate := range chain {
		l.own.Certificate = append(l.own.Certificate, certificate.Raw)
	}
	chains, err := l.checkChain(chain, x509.ExtKeyUsageClientAuth)
	if err != nil {
		return nil, fmt.Errorf("check %s against %s: %w", files.Certificate, files.Authorities, err)
	}
	l.issuer = issuerOf(chains)
	return l, nil
}

func readCertificates(ctx context.Context, disk *secret.Reader, path string) ([]*x509.Certificate, error) {
	data, err := disk.ReadFile(ctx, path)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBadFiles, err)
	}
	var certificates []*x509.Certificate
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			continue
		}
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("%w: %s: %w", ErrBadFiles, path, err)
		}
		certificates = append(certificates, certificate)
	}
	if len(certificates) == 0 {
		return nil, fmt.Errorf("%w: %s holds no certificate in PEM", ErrBadFiles, path)
	}
	return certificates, nil
}

// readKey reads a private key, and refuses one that everybody on the machine can read.
func readKey(ctx context.Context, disk *secret.Reader, path string) (crypto.Signer, error) {
	file, err := disk.Read(ctx, path)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBadFiles, err)
	}
	if mode := file.Mode.Perm(); mode&0o007 != 0 && runtime.GOOS != "windows" {
		return nil, fmt.Errorf("%w: the private key %s is open to everybody (mode %04o); run: chmod 600 %s", ErrBadFiles, path, mode, path)
	}
	block, _ := pem.Decode(bytes.TrimSpace(file.Content))
	if block == nil {
		return nil, fmt.Errorf("%w: %s holds no private key in PEM", ErrBadFiles, path)
	}
	key, err := parseKey(block)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrBadFiles, path, err)
	}
	return key, nil
}

// parseKey reads the two forms in which tools write elliptic keys.
func parseKey(block *pem.Block) (crypto.Signer, error) {
	if block.Type == "EC PRIVATE KEY" {
		return x509.ParseECPrivateKey(block.Bytes)
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, err
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("a key of type %T can't sign", key)
	}
	return signer, nil
}

// checkChain checks a peer's chain, or our own, and says what is wrong in terms of what to do about it. It returns the ways from the leaf to an
// authority.
func (l *loaded) checkChain(chain []*x509.Certificate, usage x509.ExtKeyUsage) ([][]*x509.Certificate, error) {
	leaf := chain[0]
	identity, err := CertificateIdentity(leaf)
	if err != nil {
		return nil, err
	}
	if identity.Cluster != l.identity.Cluster {
		return nil, fmt.Errorf("%w: it is of %s in cluster %q, and this is cluster %q", ErrOtherCluster, identity.holder(), identity.Cluster, l.identity.Cluster)
	}
	if now := time.Now(); now.After(leaf.NotAfter) || now.Before(leaf.NotBefore) {
		return nil, fmt.Errorf("%w: that of %s is valid from %s to %s, and this machine's clock says %s; issue a new one with `arbiterctl pki issue`, or set the clock",
			ErrExpired, identity.holder(), stamp(leaf.NotBefore), stamp(leaf.NotAfter), stamp(now))
	}
	options := x509.VerifyOptions{Roots: l.roots, Intermediates: x509.NewCertPool(), KeyUsages: []x509.ExtKeyUsage{usage}}
	for _, certificate := range chain[1:] {
		options.Intermediates.AddCert(certificate)
	}
	chains, err := leaf.Verify(options)
	if err != nil {
		return nil, fmt.Errorf("%w: that of %s in cluster %q, checked against the authorities in %s: %w", ErrUntrusted, identity.holder(), identity.Cluster, l.files.Authorities, err)
	}
	return chains, nil
}

// holder names an identity in a sentence.
func (i Identity) holder() string { return fmt.Sprintf("%s %q", i.Role, i.Name) }

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }
