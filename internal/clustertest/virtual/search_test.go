package virtual_test

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/arbiter-ha/arbiter/internal/clustertest/virtual"
)

// number reads a number from the environment.
func number(t *testing.T, name string, otherwise uint64) uint64 {
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}

// length is how long things go wrong in one run, in virtual time.
const length = 90 * time.Second

// TestSearch lets things go wrong by chance: SEEDS=n runs n seeds from FIRST on, SEED=n one again.
func TestSearch(t *testing.T) {
	first, seeds := number(t, "FIRST", 1), number(t, "SEEDS", 8)
	if again := number(t, "SEED", 0); again != 0 {
		first, seeds = again, 1
	}
	told := progress{of: seeds, began: time.Now()}
	for seed := first; seed < first+seeds; seed++ {
		t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) {
			t.Parallel()
			t.Cleanup(func() { told.done(t.Failed()) })
			virtual.Run(t, func(t *testing.T) { search(t, seed) })
		})
	}
}

func search(t *testing.T, seed uint64) {
	c := virtual.New(t, 3, seed)
	counts := virtual.Search(t, c, seed, length)
	breaches := slices.DeleteFunc(c.History.Breaches(), func(breach string) bool { return !demanding() && strings.Contains(breach, ": liveness: ") })
	if len(breaches) > 0 {
		t.Errorf("%s\n\n%s\nmake virtual SEED=%d tries it again, but not every detail: the runtime has chances of its own",
			c.History, strings.Join(breaches, "\n"), seed)
	} else if len(c.History.Breaches()) > 0 {
		t.Logf("it took longer than it should to get well: %v", c.History.Breaches())
	} else if counts.Elections < 4 || counts.Failovers < 3 || counts.Effects == 0 || counts.Reads == 0 {
		t.Errorf("too little happened for a search: %+v", counts)
	}
}

// demanding says whether somebody asked for a search, and wants to hear of every group that does not get well in time. About one seed in a
// hundred does not, where an operator releases a held catch-up again and again; as a test of a change it would say nothing.
func demanding() bool { return os.Getenv("SEEDS")+os.Getenv("SEED") != "" }

// progress tells people how far a search is.
type progress struct {
	of    uint64
	began time.Time

	mu        sync.Mutex
	ended     uint64
	failed    int
	lastWords time.Time
}

// progressPace is how often it is told.
const progressPace = 5 * time.Second

func (p *progress) done(failed bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ended++
	if failed {
		p.failed++
	}
	if now := time.Now(); now.Sub(p.lastWords) >= progressPace || p.ended == p.of {
		p.lastWords = now
		fmt.Fprintf(os.Stderr, "%d of %d seeds, %d failed, after %.0f s\n", p.ended, p.of, p.failed, now.Sub(p.began).Seconds())
	}
}
