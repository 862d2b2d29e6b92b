package e2e

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/arbiter-ha/arbiter/internal/lab"
	"github.com/arbiter-ha/arbiter/internal/lab/chaos"
	"github.com/arbiter-ha/arbiter/internal/lab/hosts"
)

const (
	// chaosLength is how long faults are made, chaosLimit what a run may take in all.
	chaosLength, chaosLimit = 2 * time.Minute, 12 * time.Minute
	// chaosSeed has crashes, a frozen host, power cuts, disks that hang and are full, and partitions of every kind in that time.
	chaosSeed = 21
)

// Two minutes of everything at once: no acknowledged write is lost, no two members accept writes, the register is
// linearizable, and the group becomes whole again. `make chaos` does it for longer, and with other seeds.
func TestChaos(t *testing.T) {
	full(t)
	if err := closeShared(); err != nil {
		t.Fatal(err)
	}
	programs, err := released()
	if err != nil {
		t.Fatal(err)
	}
	copied, err := template()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), chaosLimit)
	defer cancel()
	if workshop.Kind() != hosts.Namespaces {
		t.Skip("needs root: networks can't be cut between loopback addresses")
	}
	var told strings.Builder
	result, err := chaos.Run(ctx, chaos.Options{
		Lab: lab.Options{Template: copied, Binaries: programs}, Length: chaosLength, Seed: chaosSeed, Progress: &told,
	})
	if err == nil {
		err = result.WriteText(&told)
	}
	t.Log(told.String())
	if err != nil {
		t.Fatal(err)
	}
	if err := result.Failed(); err != nil {
		t.Error(err)
	}
	if result.Faults < 15 || result.Failovers == 0 || result.Appends.Acked < 1000 || result.Register.Acked < 100 {
		t.Error("so little happened that nothing was shown")
	}
}
