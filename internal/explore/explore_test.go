package explore

import (
	"strings"
	"testing"
)

func TestExplore(t *testing.T) {
	report := Run(t.Context(), Bounds{Outside: 2, Workers: 2}, func(r Report) { t.Log(r.States, r.Entries, r.Depth, r.Took) })
	for _, v := range report.Violations {
		t.Errorf("%s: %s\n  %s", v.Rule, v.Why, strings.Join(v.History, "\n  "))
	}
	t.Logf("%d states, %d entries, depth %d, %s", report.States, report.Entries, report.Depth, report.Took)
}
