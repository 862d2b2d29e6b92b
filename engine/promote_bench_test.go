package engine

import (
	"slices"
	"testing"
	"time"

	"github.com/arbiter-ha/arbiter/failover"
)

// BenchmarkTakeover measures, on an idle standby whose primary is gone, what a failover waits for: catch_up of one member, and a promotion,
// from its beginning and from the request to the first commit. Run it with -benchtime 30x.
func BenchmarkTakeover(b *testing.B) {
	g := startDurableGroup(b, "b")
	g.servers["a"].Kill()
	var stop, promote, first []time.Duration
	epoch := failover.Epoch(0)
	for b.Loop() {
		epoch++
		begun := time.Now()
		g.wantAnswered(g.stop("b", epoch))
		stop = append(stop, time.Since(begun))
		outcome := g.promote("b", epoch)
		g.wantResult(outcome, failover.ResultDone, nil)
		promote = append(promote, outcome.Took)
		asked := outcome.Steps[2].Start
		first = append(first, outcome.Took-asked)

		b.StopTimer()
		g.servers["b"].Stop()
		g.servers["b"].Touch("standby.signal")
		g.servers["b"].Start()
		g.servers["b"].WaitReady()
		b.StartTimer()
	}
	for name, times := range map[string][]time.Duration{"catch-up": stop, "promote": promote, "asked-to-commit": first} {
		slices.Sort(times)
		b.ReportMetric(milliseconds(times[len(times)/2]), name+"-p50-ms")
		b.ReportMetric(milliseconds(times[len(times)-1]), name+"-max-ms")
	}
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
