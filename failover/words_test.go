package failover

import "testing"

// A sentence with a hole in it makes its reader look for what is missing.
func TestSentencesHaveNoHoles(t *testing.T) {
	for got, want := range map[string]string{
		Verdict{Voters: 3, Needed: 2}.Why():              "the group has no writer that could be seen down",
		Verdict{Voters: 3, Needed: 2, Member: "a"}.Why(): "0 of 3 arbiters see a down, 2 needed",
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
