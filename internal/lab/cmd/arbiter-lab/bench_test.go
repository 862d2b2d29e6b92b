package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/arbiter-ha/arbiter/internal/lab/report"
)

func TestBenchRefusesNonsenseBeforeItBuildsALab(t *testing.T) {
	tests := map[string]struct {
		variables map[string]string
		args      []string
		want      string
	}{
		"runs":     {variables: map[string]string{"RUNS": "many"}, want: "RUNS must be a number of at least 1"},
		"groups":   {variables: map[string]string{"MAKEFLAGS": " -- GROUPS=0 FAULT=idle"}, want: "GROUPS must be a number"},
		"servers":  {variables: map[string]string{"FAULT": "idle", "GROUPS": "21"}, want: "use SERVICE=builtin above 20"},
		"interval": {variables: map[string]string{"INTERVAL": "often", "FAULT": "idle"}, want: "INTERVAL must be a duration"},
		"jitter":   {variables: map[string]string{"JITTER": "much", "FAULT": "quiet"}, want: "JITTER must be a duration"},
		"minutes":  {args: []string{"--fault=quiet", "--minutes=0"}, want: "MINUTES must be"},
		"fault":    {variables: map[string]string{"FAULT": "earthquake"}, want: "idle or quiet"},
		"format":   {variables: map[string]string{"FORMAT": "poem"}, want: "table or markdown"},
		"arbiters": {args: []string{"--arbiters=4"}, want: "use 3 or 5"},
		"quiet":    {variables: map[string]string{"QUIET": "quiet.json", "FAULT": "quiet"}, want: "QUIET"},
		"no quiet": {variables: map[string]string{"QUIET": "/nowhere/quiet.json"}, want: "read quiet report"},
		"plot":     {variables: map[string]string{"PLOT": "a.svg", "FAULT": "idle"}, want: "PLOT"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Setenv("MAKEFLAGS", "")
			for variable, value := range test.variables {
				t.Setenv(variable, value)
			}
			c := benchCommand()
			c.SilenceErrors, c.SilenceUsage = true, true
			c.SetArgs(append([]string{}, test.args...)) // nil would be those of the test
			if err := c.ExecuteContext(t.Context()); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
}

func TestMakesOwnVariablesGoFirst(t *testing.T) {
	t.Setenv("MAKEFLAGS", "w -- SECONDS=20 GROUPS=5")
	t.Setenv("SECONDS", "23") // bash has counted on
	if got := number("SECONDS", 60); got != 20 {
		t.Errorf("seconds %d", got)
	}
	if got := number("GROUPS", 1); got != 5 {
		t.Errorf("groups %d", got)
	}
	t.Setenv("MAKEFLAGS", "")
	if got := number("SECONDS", 60); got != 23 {
		t.Errorf("seconds %d", got)
	}
}

func TestChaosRefusesNonsenseBeforeItBuildsALab(t *testing.T) {
	for name, test := range map[string]struct {
		args []string
		want string
	}{
		"minutes":  {[]string{"--minutes=0"}, "MINUTES must be"},
		"seed":     {[]string{"--seed=-1"}, "SEED"},
		"loopback": {[]string{"--hosts=loopback"}, "run as root"},
		"service":  {[]string{"--service=builtin"}, "PostgreSQL"},
		"standbys": {[]string{"--standbys=1"}, "two standbys"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("MAKEFLAGS", "")
			c := chaosCommand()
			c.SilenceErrors, c.SilenceUsage = true, true
			c.SetArgs(append([]string{}, test.args...)) // nil would be those of the test
			if err := c.ExecuteContext(t.Context()); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
}

func TestChaosPrintsItsSchedule(t *testing.T) {
	t.Setenv("MAKEFLAGS", "")
	var out strings.Builder
	c := chaosCommand()
	c.SetOut(&out)
	c.SetArgs([]string{"--seed=7", "--minutes=1", "--schedule"})
	if err := c.ExecuteContext(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), "make chaos MINUTES=1 SEED=7") || strings.Count(out.String(), "\n") < 10 {
		t.Errorf("printed:\n%s", out.String())
	}
}

// A bench that lost a write, or had two writers, publishes everything and fails.
func TestBenchFailsIfMoreThanTimeWasLost(t *testing.T) {
	for name, test := range map[string]struct {
		result report.Bench
		want   error
	}{
		"only time":             {report.Bench{Runs: []report.Run{{OutageMS: 200}, {OutageMS: 300}}}, nil},
		"a write":               {report.Bench{Runs: []report.Run{{OutageMS: 200}, {LostAcked: 1}}}, report.ErrBroken},
		"two writers":           {report.Bench{Runs: []report.Run{{DoubleWritable: 1}, {OutageMS: 200}}}, report.ErrBroken},
		"a write, in quiet":     {report.Bench{Quiet: &report.Quiet{LostAcked: 1}}, report.ErrBroken},
		"two writers, in quiet": {report.Bench{Quiet: &report.Quiet{DoubleWritable: 1}}, report.ErrBroken},
		"failovers in quiet":    {report.Bench{Quiet: &report.Quiet{FalseFailovers: 2}}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			var out strings.Builder
			f := benchFlags{json: filepath.Join(t.TempDir(), "report.json"), csv: filepath.Join(t.TempDir(), "runs.csv")}
			if err := f.conclude(&out, &test.result); !errors.Is(err, test.want) {
				t.Errorf("it ends with %v", err)
			}
			for _, file := range []string{f.json, f.csv} {
				if text, err := os.ReadFile(file); err != nil || len(text) == 0 || out.Len() == 0 {
					t.Errorf("published %q, %v, and printed %q", text, err, out.String())
				}
			}
		})
	}
}
