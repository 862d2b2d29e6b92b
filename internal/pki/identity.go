package pki

import (
	"crypto/x509"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/arbiter-ha/arbiter/internal/keys"
)

// Role is what the holder of a certificate is.
type Role string

// The roles that exist. What each may do is decided by whoever authorises, not here.
const (
	RoleArbiter  Role = "arbiter"
	RoleOperator Role = "operator"
	RoleViewer   Role = "viewer"
	RoleAgent    Role = "agent"
)

// Roles lists every role.
func Roles() []Role { return []Role{RoleArbiter, RoleOperator, RoleViewer, RoleAgent} }

// Identity is who the holder of a certificate is.
type Identity struct {
	Cluster string
	Role    Role
	Name    string // the arbiter's id, the operator's name, the agent's member
	// Groups and Verbs limit what the holder may touch and do. Empty means: everything that the role may.
	Groups []string
	Verbs  []string
}

const (
	scheme     = "arbiter"
	groupLimit = "group"
	verbLimit  = "verb"
)

// clusterPattern is a DNS label or several: the cluster stands where a URI has its host.
var clusterPattern = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$`)

// String gives the identity as it stands in a certificate.
func (i Identity) String() string { return i.uri().String() }

func (i Identity) uri() *url.URL {
	limits := url.Values{}
	if len(i.Groups) > 0 {
		limits[groupLimit] = i.Groups
	}
	if len(i.Verbs) > 0 {
		limits[verbLimit] = i.Verbs
	}
	return &url.URL{Scheme: scheme, Host: i.Cluster, Path: "/" + string(i.Role) + "/" + i.Name, RawQuery: limits.Encode()}
}

// Validate says what is wrong with an identity.
func (i Identity) Validate() error {
	if err := checkCluster(i.Cluster); err != nil {
		return err
	}
	if !slices.Contains(Roles(), i.Role) {
		return fmt.Errorf("%w: unknown role %q; one of %v is needed", ErrBadIdentity, i.Role, Roles())
	}
	if why := keys.NameFault(i.Name); why != "" {
		return fmt.Errorf("%w: %s", ErrBadIdentity, why)
	}
	for _, limit := range slices.Concat(i.Groups, i.Verbs) {
		if keys.NameFault(limit) != "" {
			return fmt.Errorf("%w: limit %q of %s is not a name", ErrBadIdentity, limit, i.Name)
		}
	}
	return nil
}

func checkCluster(cluster string) error {
	if len(cluster) > 63 || !clusterPattern.MatchString(cluster) {
		return fmt.Errorf("%w: cluster name %q; up to 63 lower-case letters, digits, - and . are allowed, as in a host name", ErrBadIdentity, cluster)
	}
	return nil
}

// ParseIdentity reads what String gives. It is strict: what it doesn't know it refuses.
func ParseIdentity(text string) (Identity, error) {
	parsed, err := url.Parse(text)
	if err != nil {
		return Identity{}, fmt.Errorf("%w: %w", ErrBadIdentity, err)
	}
	return identityOf(parsed)
}

func identityOf(uri *url.URL) (Identity, error) {
	role, name, ok := strings.Cut(strings.TrimPrefix(uri.Path, "/"), "/")
	if uri.Scheme != scheme || !ok || uri.User != nil || uri.Fragment != "" {
		return Identity{}, fmt.Errorf("%w: %q; arbiter://<cluster>/<role>/<name> is needed", ErrBadIdentity, uri)
	}
	limits, err := url.ParseQuery(uri.RawQuery)
	if err != nil {
		return Identity{}, fmt.Errorf("%w: limits of %q: %w", ErrBadIdentity, uri, err)
	}
	identity := Identity{Cluster: uri.Host, Role: Role(role), Name: name, Groups: limits[groupLimit], Verbs: limits[verbLimit]}
	for limit := range limits {
		if limit != groupLimit && limit != verbLimit {
			return Identity{}, fmt.Errorf("%w: %q has a limit %q that this version does not know, so it grants nothing", ErrBadIdentity, uri, limit)
		}
	}
	return identity, identity.Validate()
}

// CertificateIdentity reads the identity that a certificate carries. It checks neither the chain nor the validity.
func CertificateIdentity(certificate *x509.Certificate) (Identity, error) {
	uri, err := soleURI(certificate)
	if err != nil {
		return Identity{}, err
	}
	return identityOf(uri)
}

// authorityCluster reads the cluster's name from an authority's certificate.
func authorityCluster(certificate *x509.Certificate) (string, error) {
	uri, err := soleURI(certificate)
	if err != nil {
		return "", err
	}
	if uri.Path != "" || uri.RawQuery != "" {
		return "", fmt.Errorf("%w: %q is not an authority's; arbiter://<cluster> is needed", ErrBadIdentity, uri)
	}
	return uri.Host, checkCluster(uri.Host)
}

// soleURI finds the one URI of ours. Two would leave it to chance who the holder is.
func soleURI(certificate *x509.Certificate) (*url.URL, error) {
	var found *url.URL
	for _, uri := range certificate.URIs {
		if uri.Scheme != scheme {
			continue
		}
		if found != nil {
			return nil, fmt.Errorf("%w: the certificate of %q carries two: %q and %q", ErrBadIdentity, certificate.Subject.CommonName, found, uri)
		}
		found = uri
	}
	if found == nil {
		return nil, fmt.Errorf("%w: the certificate of %q carries none; issue one with `arbiterctl pki issue`", ErrBadIdentity, certificate.Subject.CommonName)
	}
	return found, nil
}
