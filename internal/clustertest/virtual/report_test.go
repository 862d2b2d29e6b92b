package virtual_test

import (
	"encoding/json"
	"os"
	"slices"
	"sync"
	"testing"
	"time"
)

// findings are what machines read of a search, from the file that REPORT names.
type findings struct {
	Kind         string   `json:"kind"`
	Seeds        int      `json:"seeds"` // that ended
	VirtualHours float64  `json:"virtual_hours"`
	Violations   int      `json:"violations"` // seeds that failed
	FailingSeeds []uint64 `json:"failing_seeds"`
	Late         uint64   `json:"late"` // seeds whose group got well later than it should
	Seconds      float64  `json:"seconds"`

	mu    sync.Mutex
	began time.Time
}

func newFindings() *findings {
	return &findings{Kind: "virtual", FailingSeeds: []uint64{}, began: time.Now()}
}

// ran counts the virtual time that a seed took.
func (f *findings) ran(took time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.VirtualHours += took.Hours()
}

// ended counts a seed.
func (f *findings) ended(seed uint64, failed bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.Seeds++
	if failed {
		f.Violations++
		f.FailingSeeds = append(f.FailingSeeds, seed)
		slices.Sort(f.FailingSeeds)
	}
}

// write is done when all seeds have ended. Without a path there is nothing to write.
func (f *findings) write(t *testing.T, path string, late uint64) {
	t.Helper()
	if path == "" {
		return
	}
	f.Late, f.Seconds = late, time.Since(f.began).Seconds()
	data, err := json.Marshal(f)
	if err == nil {
		err = os.WriteFile(path, append(data, '\n'), 0o644)
	}
	if err != nil {
		t.Errorf("write the report: %v", err)
	}
}

func TestFindings(t *testing.T) {
	path := t.TempDir() + "/report.json"
	f := newFindings()
	for seed := range uint64(3) {
		f.ran(30 * time.Minute)
		f.ended(3-seed, seed < 2)
	}
	f.write(t, path, 1)
	f.write(t, "", 1)
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var read findings
	if err := json.Unmarshal(data, &read); err != nil || read.Kind != "virtual" || read.Seeds != 3 || read.Violations != 2 || read.VirtualHours != 1.5 ||
		read.Late != 1 || !slices.Equal(read.FailingSeeds, []uint64{2, 3}) {
		t.Errorf("%s: %v", data, err)
	}
}
