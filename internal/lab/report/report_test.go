package report

import (
	"encoding/json"
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
	b.Quiet = &Quiet{Minutes: 10, Under: "1 % loss and stalls of 300 ms", FalseFailovers: 0}
	b.Idle = []Idle{{Groups: 100, CPUPercent: 1.25, RSSMB: 43.2}}
	var out strings.Builder
	if err := b.WriteTable(&out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"crash, 2 runs, profile fast, fence fence_lab, hosts namespaces", "fence", "first write", "231",
		"2 acknowledged writes lost, 1 writes accepted by two members", "0 false failovers in 10.0 minutes of 1 % loss",
		"idle with 100 groups: 1.2 % of a core, 43.2 MB",
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
	b.Quiet = &Quiet{Minutes: 2, Under: "1 % loss", Stalls: 27, DoubleWritable: 3}
	var out strings.Builder
	if err := b.WriteMarkdown(&out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"\n\n| ms | min | p50 | p90 | max |\n| --- | ---:| ---:| ---:| ---:|\n| detect |", "| outage | 180 | 231 | 231 | 231 |\n\n2 acknowledged",
		"\n\n| what | how many |\n", "| stalls | 27 |", "| writes accepted by two members | 3 |", "| az-a (leader) | 4.50 | 40.0 | 0 |", "4.5 % of a core, 43.0 MB, log grows 4096 bytes",
		"640 ms for a whole new cluster, 120 ms for one", "\n\nthey share a machine",
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
