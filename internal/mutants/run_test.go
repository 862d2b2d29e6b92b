package mutants

import (
	"errors"
	"path/filepath"
	"testing"
	"time"
)

// hunt asks one of the programs in testdata for a mutant.
func hunt(t *testing.T, program string) error {
	t.Helper()
	root, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	layers := []Layer{{Name: "explore", Package: "./internal/mutants/testdata/" + program}}
	hunter := NewHunter(t.Context(), root, layers, 5*time.Minute)
	result, err := hunter.Hunt(t.Context(), All()[0])
	if err == nil {
		t.Errorf("%s: %+v", program, result)
	}
	return err
}

// A layer that accuses the product as it is, too, has caught no mutant.
func TestControl_LayerThatAlwaysAccuses(t *testing.T) {
	if err := hunt(t, "accuser"); !errors.Is(err, ErrControl) {
		t.Errorf("got %v, want %v", err, ErrControl)
	}
}

// A layer that fails without naming a rule has caught nothing either.
func TestHunt_LayerThatBreaks(t *testing.T) {
	if err := hunt(t, "broken"); !errors.Is(err, ErrNothingNamed) {
		t.Errorf("got %v, want %v", err, ErrNothingNamed)
	}
}

func TestViolation(t *testing.T) {
	for out, want := range map[string]string{
		"3 states\n\nS2 does not hold: m1 is REVOKED\n  begin":         "S2 does not hold: m1 is REVOKED",
		"1 of 300 seeds\nseed 17 at 4s: two-writers: m1, m2":           "seed 17 at 4s: two-writers: m1, m2",
		"    search_test.go:58: \n  12.1 s BREACH S9: m2 took epoch 3": "12.1 s BREACH S9: m2 took epoch 3",
		"--- FAIL: TestS6_LateAnswersConfirmNothing (0.10s)":           "--- FAIL: TestS6_LateAnswersConfirmNothing (0.10s)",
		"panic: index out of range":                                    "panic: index out of range",
		"--- FAIL: TestSearch (9s)\n too little happened for a search": "",
		"fatal error: runtime: out of memory":                          "",
		"":                                                             "",
	} {
		if got := violation(out); got != want {
			t.Errorf("%q: got %q, want %q", out, got, want)
		}
	}
}
