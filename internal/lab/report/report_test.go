package report

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func sample() *Bench {
	b := New("crash")
	b.Fence, b.Profile, b.Hosts = "fence_lab", "fast", "namespaces"
	b.Runs = append(b.Runs,
		Run{OutageMS: 231, PhasesMS: &Phases{Detect: 31, Decide: 3, Fence: 83, Promote: 59, Route: 3, FirstWrite: 52}},
		Run{OutageMS: 180.5, LostAcked: 2, DoubleWritable: 1},
	)
	return b
}

// TestJSONIsWhatMachinesExpect holds the keys to the documented form.
func TestJSONIsWhatMachinesExpect(t *testing.T) {
	path := filepath.Join(t.TempDir(), "report.json")
	b := sample()
	b.Fence, b.Profile, b.Hosts, b.Runs = "", "", "", b.Runs[:1]
	if err := b.WriteJSON(path); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"kind":"bench","fault":"crash","runs":[{"outage_ms":231,"lost_acked":0,"double_writable":0,` +
		`"phases_ms":{"detect":31,"decide":3,"fence":83,"promote":59,"route":3,"first_write":52}}]}`
	if got := strings.TrimSpace(string(text)); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if err := b.WriteJSON(filepath.Join(path, "no", "such")); err == nil {
		t.Error("a report was written where nothing can be")
	}
}

func TestEmptyReportIsValidJSON(t *testing.T) {
	text, err := json.Marshal(New("freeze"))
	if err != nil || string(text) != `{"kind":"bench","fault":"freeze","runs":[]}` {
		t.Errorf("%s, %v", text, err)
	}
}

func TestTable(t *testing.T) {
	b := sample()
	b.Quiet = &Quiet{Minutes: 10, Under: "1 % loss and stalls of 300 ms", LeasesReturned: 4}
	b.Idle = []Idle{{Groups: 100, CPUPercent: 1.25, RSSMB: 43.2, Machine: &Machine{HashMBPerSecond: 500, WakeUpUS: 9, SyncedWriteUS: 480}}}
	b.Runs[0].Machine = &Machine{HashMBPerSecond: 230.4, WakeUpUS: 52, SyncedWriteUS: 512}
	b.Runs[1].Machine = &Machine{HashMBPerSecond: 250, WakeUpUS: 12, SyncedWriteUS: 700}
	var out strings.Builder
	if err := b.WriteTable(&out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"crash, 2 runs, profile fast, fence fence_lab, hosts namespaces", "fence", "first write", "231",
		"2 acknowledged writes lost, 1 writes accepted by two members",
		"0 false failovers (and 4 leases taken and given back with nothing done) in 10.0 minutes of 1 % loss",
		"idle with 100 groups: 1.2 % of a core, 43.2 MB",
		"the machine: SHA-256 250 MB/s on one core, a thread wakes in 12 µs, a synced write takes 512 µs",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
	t.Logf("\n%s", out.String())
}

func TestCSV(t *testing.T) {
	var out strings.Builder
	if err := sample().WriteCSV(&out); err != nil {
		t.Fatal(err)
	}
	const want = "run,fault,outage_ms,lost_acked,double_writable,detect_ms,decide_ms,fence_ms,promote_ms,route_ms,first_write_ms\n" +
		"1,crash,231,0,0,31,3,83,59,3,52\n2,crash,180.5,2,1,,,,,,\n"
	if out.String() != want {
		t.Errorf("got\n%s", out.String())
	}
}

func TestSummarise(t *testing.T) {
	tests := map[string]struct {
		values []float64
		want   Distribution
	}{
		"none": {nil, Distribution{}},
		"one":  {[]float64{7}, Distribution{7, 7, 7, 7}},
		"two":  {[]float64{9, 1}, Distribution{1, 9, 9, 9}},
		"ten":  {[]float64{10, 1, 2, 3, 4, 5, 6, 7, 8, 9}, Distribution{1, 6, 10, 10}},
	}
	for name, test := range tests {
		if got := Summarise(test.values); got != test.want {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func TestMilliseconds(t *testing.T) {
	if got := Milliseconds(1234567 * time.Nanosecond); got != 1.235 {
		t.Error(got)
	}
}

// TestMarkdownIsReadyForDocuments holds tables apart from paragraphs by empty lines, as Markdown needs it.
func TestMarkdownIsReadyForDocuments(t *testing.T) {
	b := sample()
	b.Idle = append(b.Idle, NewIdle(2, []IdleArbiter{
		{Name: "az-a", Leader: true, CPUPercent: 4.5, RSSMB: 40}, {Name: "az-b", CPUPercent: 1, RSSMB: 43, LogBytesPerMinute: 4096},
	}))
	b.Idle[0].ServingMS, b.Idle[0].AgainMS, b.Idle[0].Shared = 640, 120, "they share a machine"
	b.Idle[0].Entries, b.Idle[0].LogsKept = []IdleEntries{{Kind: "views: whole", Entries: 2, Bytes: 880_000}}, "/kept"
	b.Idle[0].WholeViews = []IdleWhole{{Arbiter: "az-b", Why: "new leader", Views: 3, Bytes: 879_000}}
	var out strings.Builder
	if err := b.WriteMarkdown(&out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"\n\n| ms | min | p50 | p90 | max |\n| --- | ---:| ---:| ---:| ---:|\n| detect |", "| outage | 180 | 231 | 231 | 231 |\n\n2 acknowledged",
		"| az-a (leader) | 4.50 | 40.0 | 0 |", "4.5 % of a core, 43.0 MB, log grows 4096 bytes",
		"640 ms for a whole new cluster, 120 ms for one", "\n\nthey share a machine",
		"| views: whole | 2 | 880000 |", "| az-b: new leader | 3 | 879000 |", "kept in /kept\n",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
}

// An outage is not shown without the false failovers of its profile, in any form.
func TestOutagesTellTheirPrice(t *testing.T) {
	for name, test := range map[string]struct {
		quiet      *Quiet
		want, none string
	}{
		"not given": {nil, "NOT TO BE PUBLISHED: the false failovers of profile fast are not told", "0 false failovers"},
		"given":     {&Quiet{Minutes: 10, Under: "1 % loss", FalseFailovers: 1}, "1 false failovers (and 0 leases taken and given back with nothing done) in 10.0 minutes of 1 % loss", "PUBLISHED"},
	} {
		b := sample()
		b.Quiet = test.quiet
		var table, markdown strings.Builder
		picture, err := b.picture()
		if err := errors.Join(err, b.WriteTable(&table), b.WriteMarkdown(&markdown)); err != nil {
			t.Fatal(err)
		}
		for _, shown := range []string{table.String(), markdown.String(), picture.Title.Text} {
			if !strings.Contains(shown, test.want) || strings.Contains(shown, test.none) {
				t.Errorf("%s: %s", name, shown)
			}
		}
	}
}

func TestQuietReportMustFit(t *testing.T) {
	write := func(change func(*Bench)) string {
		b := New("quiet")
		b.Profile, b.Service, b.Quiet = "fast", "postgres", &Quiet{Minutes: 10, FalseFailovers: 2}
		change(b)
		path := filepath.Join(t.TempDir(), "quiet.json")
		if err := b.WriteJSON(path); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for name, test := range map[string]struct {
		change func(*Bench)
		want   error
	}{
		"it fits":         {func(*Bench) {}, nil},
		"another profile": {func(b *Bench) { b.Profile = "normal" }, ErrQuiet},
		"another service": {func(b *Bench) { b.Service = "builtin" }, ErrQuiet},
		"too short":       {func(b *Bench) { b.Quiet.Minutes = 9.9 }, ErrQuiet},
		"of a crash":      {func(b *Bench) { b.Fault, b.Quiet = "crash", nil }, ErrQuiet},
	} {
		q, err := ReadQuiet(write(test.change), "fast", "postgres")
		if !errors.Is(err, test.want) || (err == nil) != (test.want == nil) || err == nil && q.FalseFailovers != 2 {
			t.Errorf("%s: %+v, %v", name, q, err)
		}
	}
	if _, err := ReadQuiet(filepath.Join(t.TempDir(), "none"), "fast", "postgres"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no report: %v", err)
	}
	spoilt := filepath.Join(t.TempDir(), "spoilt")
	if err := os.WriteFile(spoilt, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadQuiet(spoilt, "fast", "postgres"); err == nil {
		t.Error("half a report was read")
	}
}

func TestQuietIsReadyForDocuments(t *testing.T) {
	b := New("quiet")
	b.Quiet = &Quiet{Minutes: 2, Under: "1 % loss", Stalls: 27, LeasesReturned: 4, DoubleWritable: 3}
	var out strings.Builder
	if err := b.WriteMarkdown(&out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"\n\n| what | how many |\n", "| stalls | 27 |", "| false failovers: the healthy primary was fenced | 0 |",
		"| leases taken and given back with nothing done | 4 |", "| writes accepted by two members | 3 |",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
}

func TestReportsWithoutRunsHaveNoDistribution(t *testing.T) {
	b := New("idle")
	b.Idle = append(b.Idle, NewIdle(1, nil))
	var out strings.Builder
	if err := b.WriteTable(&out); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(out.String(), "outage") || strings.Contains(out.String(), "lost") {
		t.Errorf("a distribution of nothing:\n%s", out.String())
	}
}
