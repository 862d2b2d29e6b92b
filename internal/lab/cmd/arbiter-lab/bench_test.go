package main

import (
	"strings"
	"testing"
)

func TestBenchRefusesNonsenseBeforeItBuildsALab(t *testing.T) {
	tests := map[string]struct {
		variables map[string]string
		args      []string
		want      string
	}{
		"runs":     {variables: map[string]string{"RUNS": "many"}, want: "RUNS must be a number of at least 1"},
		"groups":   {variables: map[string]string{"MAKEFLAGS": " -- GROUPS=0 FAULT=idle"}, want: "GROUPS must be a number"},
		"minutes":  {args: []string{"--fault=quiet", "--minutes=0"}, want: "MINUTES must be"},
		"fault":    {variables: map[string]string{"FAULT": "earthquake"}, want: "idle or quiet"},
		"format":   {variables: map[string]string{"FORMAT": "poem"}, want: "table or markdown"},
		"arbiters": {args: []string{"--arbiters=4"}, want: "use 3 or 5"},
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
			c.SetArgs(test.args)
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
