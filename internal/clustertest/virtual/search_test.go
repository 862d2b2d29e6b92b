package virtual_test

import (
	"os"
	"strconv"
	"strings"
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

// TestSearch lets things go wrong by chance. SEEDS=n tries n seeds, from SEED on.
func TestSearch(t *testing.T) {
	first, seeds := number(t, "SEED", 1), number(t, "SEEDS", 20)
	for seed := first; seed < first+seeds; seed++ {
		t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) {
			t.Parallel()
			virtual.Run(t, func(t *testing.T) {
				c := virtual.New(t, 3, seed)
				counts := virtual.Search(t, c, seed, length)
				t.Logf("%+v", counts)
				if breaches := c.History.Breaches(); len(breaches) > 0 {
					t.Errorf("%s\n\n%s\nSEED=%d SEEDS=1 tries it again, but not every detail: the runtime has chances of its own",
						c.History, strings.Join(breaches, "\n"), seed)
				} else if counts.Elections < 4 || counts.Failovers < 3 || counts.Effects == 0 || counts.Reads == 0 {
					t.Errorf("too little happened for a search: %+v", counts)
				}
			})
		})
	}
}
