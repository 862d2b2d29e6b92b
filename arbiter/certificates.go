package arbiter

import (
	"google.golang.org/protobuf/types/known/timestamppb"

	arbiterv1 "github.com/arbiter-ha/arbiter/proto/arbiter/v1"
)

// certificates says when this arbiter's certificates end; nil without any.
func (n *Node) certificates() *arbiterv1.Certificates {
	if n.options.TLS == nil {
		return nil
	}
	e := n.options.TLS.Expiry(n.options.Clock.Wall())
	return &arbiterv1.Certificates{Until: timestamppb.New(e.Certificate), AuthorityUntil: timestamppb.New(e.Authority), Concern: e.Concern}
}

// certificateFindings says whether they end soon. As long as they haven't, a failover works; afterwards whoever leads can't be reached anew.
func (n *Node) certificateFindings() []*arbiterv1.Finding {
	if n.options.TLS == nil {
		return nil
	}
	e := n.options.TLS.Expiry(n.options.Clock.Wall())
	if e.Concern == "" {
		return nil
	}
	return []*arbiterv1.Finding{findingToProto(look{about: aboutCertificate}, Finding{Blocks: e.Over, What: e.Concern})}
}
