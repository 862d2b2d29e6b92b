package arbiter

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/arbiter-ha/arbiter/failover"
)

// warnAgain is how often a waiting arbiter repeats whose certificate does not go together with its own.
const warnAgain = time.Minute

// warnOfCertificates tells of arbiters that are there, and of which it is no use to wait for an answer.
func (b *Bootstrap) warnOfCertificates(answers []bootstrapAnswer, warned map[failover.NodeID]time.Duration) {
	now := b.options.Clock.Boot()
	for _, a := range answers {
		last, before := warned[a.peer]
		if !errors.Is(a.err, ErrNotTrusted) || before && now-last < warnAgain {
			continue
		}
		warned[a.peer] = now
		b.options.Log.Warn("another arbiter's certificate and this one's don't go together", "peer", a.peer, "error", a.err, "next", b.certificateAdvice())
	}
}

// withFiles adds to an error about certificates, or about the data directory, which files are meant, and what to do.
func (b *Bootstrap) withFiles(err error) error {
	switch {
	case errors.Is(err, ErrOtherClusterID):
		return fmt.Errorf("%w (the data directory here is %s)", err, b.options.Folder)
	case !errors.Is(err, ErrNotTrusted):
		return err
	}
	return fmt.Errorf("%w; %s", err, b.certificateAdvice())
}

func (b *Bootstrap) certificateAdvice() string {
	if b.options.TLS == nil {
		return "give this arbiter a certificate too, or none of them"
	}
	files := b.options.TLS.Files()
	return fmt.Sprintf("this arbiter shows %s, of cluster %q, and trusts %s: have the certificates of all arbiters issued by one authority (arbiterctl pki issue --role arbiter NAME), and start again those that get another",
		files.Certificate, b.options.TLS.Identity().Cluster, files.Authorities)
}

// accepted says whether some other arbiter has accepted this one's certificate, and this one its, as far as there are others.
func accepted(answers []bootstrapAnswer) bool {
	return len(answers) == 0 || slices.ContainsFunc(answers, func(a bootstrapAnswer) bool { return a.err == nil })
}
