package pki

import (
	"crypto/x509"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Notice is how long before its end somebody is told that a certificate ends. One that lives for less than three times as long is told of in the
// last third of its life: short lives are renewed by a program, and only one that it forgot is worth a word.
const Notice = 30 * 24 * time.Hour

// Expiry is when the certificates of a process end.
type Expiry struct {
	Certificate time.Time // its own
	Authority   time.Time // that of the authority that its own rests on
	// Concern says what has ended or soon will, and what to do about it; empty if nothing has and nothing will.
	Concern string
	// Over says that something has ended: new connections are refused.
	Over bool
}

// Expiry tells how the certificates in use stand at a time.
func (r *Reloader) Expiry(now time.Time) Expiry {
	l := r.current.Load()
	whose, renew := l.identity.Role.expiryWords()
	e := Expiry{Certificate: l.own.Leaf.NotAfter, Authority: l.issuer.NotAfter}
	var concerns []string
	if due(l.issuer, now) {
		concerns = append(concerns, fmt.Sprintf("the authority in %s that %s certificate rests on %s; change to a new authority everywhere",
			l.files.Authorities, whose, endText(e.Authority, now)))
	}
	// A new certificate of an authority that ends no later would be cut to the same end.
	if due(l.own.Leaf, now) && (len(concerns) == 0 || e.Authority.Sub(e.Certificate) > 24*time.Hour) {
		concerns = append(concerns, fmt.Sprintf("%s certificate %s %s; %s", whose, l.files.Certificate, endText(e.Certificate, now), renew))
	}
	e.Concern = strings.Join(concerns, "; ")
	e.Over = !now.Before(e.Certificate) || !now.Before(e.Authority)
	return e
}

// expiryWords are whose certificate it is, and how it gets a new one. An arbiter is told of; whoever else uses one is told it.
func (r Role) expiryWords() (whose, renew string) {
	if r == RoleArbiter {
		return "its", "issue a new one (arbiterctl pki issue), put it there and reload"
	}
	return "your", "have a new one issued (arbiterctl pki issue) and put it there"
}

// due says whether it is time to see to a certificate.
func due(c *x509.Certificate, now time.Time) bool {
	return c.NotAfter.Sub(now) < min(Notice, c.NotAfter.Sub(c.NotBefore)/3)
}

func endText(end, now time.Time) string {
	left := end.Sub(now)
	switch {
	case left <= 0:
		return "ended at " + stamp(end)
	case left < 48*time.Hour:
		return fmt.Sprintf("ends at %s, in %.0f hours", stamp(end), left.Hours())
	}
	return fmt.Sprintf("ends at %s, in %d days", stamp(end), int(left.Hours()/24))
}

// issuerOf is the certificate with which trust in a leaf ends: of each chain the one above the leaf that ends first, and of several chains, as
// in the middle of a change of authority, that of the one that lasts longest.
func issuerOf(chains [][]*x509.Certificate) *x509.Certificate {
	byEnd := func(a, b *x509.Certificate) int { return a.NotAfter.Compare(b.NotAfter) }
	var ends []*x509.Certificate
	for _, chain := range chains {
		ends = append(ends, slices.MinFunc(chain[min(1, len(chain)-1):], byEnd)) // a leaf that is an authority itself stands alone
	}
	return slices.MaxFunc(ends, byEnd)
}
