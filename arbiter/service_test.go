package arbiter

import (
	"strings"
	"testing"
	"time"

	"github.com/arbiter-ha/arbiter/failover"
	arbiterv1 "github.com/arbiter-ha/arbiter/proto/arbiter/v1"
)

// twelveSeconds is how long writes stop at worst, by every spec.
type twelveSeconds struct{ Specs }

func (twelveSeconds) LongestOutage(*arbiterv1.GroupSpec) time.Duration { return 12 * time.Second }

// What a failover would do is told from the committed state. Only how long it would take needs the spec as it was sent.
func TestExplanation_StandsWithoutTheSpecAsItWasSent(t *testing.T) {
	s := &service{node: &Node{options: Options{Specs: twelveSeconds{}}}}
	orders := ordersScript(t)
	well := failover.Rehearsal(&orders.state, orders.group, failover.Asked{})
	for name, test := range map[string]struct {
		source string
		e      failover.Explanation
		want   string
	}{
		"a readable one":                {"", well, well.WouldDo + "; writes would stop for at most 12s"},
		"an unreadable one":             {"\xff", well, well.WouldDo + ". How long writes would stop at worst is not known: read the kept spec of a group: "},
		"an unreadable one, nobody fit": {"\xff", failover.Explanation{}, ""},
	} {
		got := s.within(&failover.Group{SpecSource: []byte(test.source)}, test.e).WouldDo
		if !strings.HasPrefix(got, test.want) || test.want == "" && got != "" {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
}
