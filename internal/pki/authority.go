package pki

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/arbiter-ha/arbiter/internal/secret"
)

const (
	// AuthorityValidity is how long an authority's certificate is valid.
	AuthorityValidity = 10 * 365 * 24 * time.Hour
	// DefaultValidity is how long an issued certificate is valid unless the request says otherwise.
	DefaultValidity = 825 * 24 * time.Hour
	// backdate lets a new certificate be used by machines whose clocks are behind the issuer's.
	backdate = time.Hour

	authorityCertificateFile = "ca.crt"
	authorityKeyFile         = "ca.key"
	certificateMode          = 0o644
	keyMode                  = 0o600
)

// Authority issues the certificates of one cluster. Its key signs everything: keep its folder off the arbiters.
type Authority struct {
	Cluster     string
	certificate *x509.Certificate
	key         crypto.Signer
}

// Init makes a new authority for a cluster and writes it to a folder as ca.crt and ca.key. An existing authority is left
// alone, with ErrExists, unless force is set; replacing one cuts off everybody who holds a certificate of it.
func Init(folder, cluster string, force bool) (*Authority, error) {
	authority, err := NewAuthority(cluster)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, fmt.Errorf("make the authority's folder: %w", err)
	}
	pair, err := encodePair(authority.certificate.Raw, authority.key)
	if err != nil {
		return nil, err
	}
	if err := pair.write(filepath.Join(folder, authorityCertificateFile), filepath.Join(folder, authorityKeyFile), force); err != nil {
		return nil, err
	}
	return authority, nil
}

// NewAuthority makes a new authority (ECDSA P-256) in memory.
func NewAuthority(cluster string) (*Authority, error) {
	if err := checkCluster(cluster); err != nil {
		return nil, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make the authority's key: %w", err)
	}
	template := &x509.Certificate{
		Subject:               pkix.Name{CommonName: "Arbiter authority of " + cluster, Organization: []string{cluster}},
		URIs:                  []*url.URL{{Scheme: scheme, Host: cluster}},
		IsCA:                  true,
		BasicConstraintsValid: true,
		MaxPathLenZero:        true,
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	certificate, err := sign(template, template, key.Public(), key, AuthorityValidity)
	if err != nil {
		return nil, fmt.Errorf("sign the authority's certificate: %w", err)
	}
	return &Authority{Cluster: cluster, certificate: certificate, key: key}, nil
}

// LoadAuthority reads what Init wrote.
func LoadAuthority(folder string) (*Authority, error) {
	ctx, cancel := secret.Within(context.Background(), readLimit)
	defer cancel()
	disk, certificatePath := new(secret.Reader), filepath.Join(folder, authorityCertificateFile)
	certificates, err := readCertificates(ctx, disk, certificatePath)
	if err != nil {
		return nil, err
	}
	cluster, err := authorityCluster(certificates[0])
	if err != nil {
		return nil, fmt.Errorf("read authority %s: %w", certificatePath, err)
	}
	keyPath := filepath.Join(folder, authorityKeyFile)
	key, err := readKey(ctx, disk, keyPath)
	if err != nil {
		return nil, err
	}
	public, ok := key.Public().(*ecdsa.PublicKey)
	if !ok || !public.Equal(certificates[0].PublicKey) {
		return nil, fmt.Errorf("%w: %s is not the key of %s", ErrBadFiles, keyPath, certificatePath)
	}
	return &Authority{Cluster: cluster, certificate: certificates[0], key: key}, nil
}

// CertificatePEM is the authority's certificate, to be given to everybody.
func (a *Authority) CertificatePEM() []byte { return encodeCertificate(a.certificate.Raw) }

// Request says whom to make a certificate for.
type Request struct {
	Role   Role
	Name   string
	Groups []string // limits; see Identity
	Verbs  []string
	// Hosts are names and addresses (IPv4, IPv6 with or without brackets) to add, for programs that check them.
	Hosts    []string
	ValidFor time.Duration // zero: DefaultValidity; cut to the authority's own end
}

// Pair is a certificate and its private key, in PEM.
type Pair struct {
	Certificate []byte
	Key         []byte
}

// Issue makes a key (ECDSA P-256) and a certificate for it.
func (a *Authority) Issue(request Request) (Pair, error) {
	identity := Identity{Cluster: a.Cluster, Role: request.Role, Name: request.Name, Groups: request.Groups, Verbs: request.Verbs}
	if err := identity.Validate(); err != nil {
		return Pair{}, err
	}
	names, addresses, err := splitHosts(request.Hosts)
	if err != nil {
		return Pair{}, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return Pair{}, fmt.Errorf("make a key for %s: %w", identity, err)
	}
	template := &x509.Certificate{
		Subject:     pkix.Name{CommonName: request.Name, Organization: []string{a.Cluster}, OrganizationalUnit: []string{string(request.Role)}},
		URIs:        []*url.URL{identity.uri()},
		DNSNames:    names,
		IPAddresses: addresses,
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: usages(request.Role),
	}
	validity := request.ValidFor
	if validity == 0 {
		validity = DefaultValidity
	}
	validity = min(validity, time.Until(a.certificate.NotAfter))
	if validity <= 0 {
		return Pair{}, fmt.Errorf("%w: the authority of %s ended at %v; make a new one with `arbiterctl pki init`", ErrExpired, a.Cluster, a.certificate.NotAfter)
	}
	certificate, err := sign(template, a.certificate, key.Public(), a.key, validity)
	if err != nil {
		return Pair{}, fmt.Errorf("sign the certificate of %s: %w", identity, err)
	}
	return encodePair(certificate.Raw, key)
}

// IssueTo is Issue, written to a folder as <name>.crt and <name>.key, with the authority's ca.crt beside them. Existing
// files of that name are left alone, with ErrExists, unless force is set.
func (a *Authority) IssueTo(folder string, request Request, force bool) (Files, error) {
	pair, err := a.Issue(request)
	if err != nil {
		return Files{}, err
	}
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return Files{}, fmt.Errorf("make the folder of the certificate: %w", err)
	}
	files := Files{
		Authorities: filepath.Join(folder, authorityCertificateFile),
		Certificate: filepath.Join(folder, request.Name+".crt"),
		Key:         filepath.Join(folder, request.Name+".key"),
	}
	if files.Certificate == files.Authorities {
		return Files{}, fmt.Errorf("%w: the name %q is taken by the authority's own file", ErrBadIdentity, request.Name)
	}
	if err := a.writeCertificate(files.Authorities); err != nil {
		return Files{}, err
	}
	return files, pair.write(files.Certificate, files.Key, force)
}

// writeCertificate puts the authority's certificate into a file of authorities. A file that is there already may hold
// several, in the middle of a change of authority, so it is never replaced.
func (a *Authority) writeCertificate(path string) error {
	err := WriteFile(path, a.CertificatePEM(), certificateMode, false)
	if !errors.Is(err, ErrExists) {
		return err
	}
	ctx, cancel := secret.Within(context.Background(), readLimit)
	defer cancel()
	present, err := readCertificates(ctx, new(secret.Reader), path)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(present, a.certificate.Equal) {
		return fmt.Errorf("%w: %s holds other authorities; choose another folder, or append this authority's ca.crt to it", ErrExists, path)
	}
	return nil
}

// write writes both files, the key first: a certificate without its key is of no use, a key without a certificate harms
// nobody. It looks for both before it writes either, so that a refusal leaves nothing half done.
func (p Pair) write(certificatePath, keyPath string, force bool) error {
	for _, path := range []string{certificatePath, keyPath} {
		if _, err := os.Lstat(path); err == nil && !force {
			return fmt.Errorf("%w: %s; choose another folder, or replace it with --force", ErrExists, path)
		}
	}
	if err := WriteFile(keyPath, p.Key, keyMode, force); err != nil {
		return err
	}
	return WriteFile(certificatePath, p.Certificate, certificateMode, force)
}

// usages says in which places of a handshake a role may stand. Arbiters and agents serve; people only call.
func usages(role Role) []x509.ExtKeyUsage {
	if role == RoleArbiter || role == RoleAgent {
		return []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	}
	return []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
}

func sign(template, parent *x509.Certificate, public crypto.PublicKey, key crypto.Signer, validity time.Duration) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, err
	}
	now := time.Now()
	template.SerialNumber = serial
	template.NotBefore, template.NotAfter = now.Add(-backdate), now.Add(validity)
	raw, err := x509.CreateCertificate(rand.Reader, template, parent, public, key)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(raw)
}

func splitHosts(hosts []string) (names []string, addresses []net.IP, err error) {
	for _, host := range hosts {
		if address := net.ParseIP(strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")); address != nil {
			addresses = append(addresses, address)
			continue
		}
		if host == "" || strings.ContainsAny(host, ":/ []") {
			return nil, nil, fmt.Errorf("%w: host %q; give a name or an address, without a port", ErrBadIdentity, host)
		}
		names = append(names, host)
	}
	return names, addresses, nil
}

func encodeCertificate(raw []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: raw})
}

func encodePair(certificate []byte, key crypto.Signer) (Pair, error) {
	raw, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return Pair{}, fmt.Errorf("encode a private key: %w", err)
	}
	return Pair{Certificate: encodeCertificate(certificate), Key: pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw})}, nil
}
