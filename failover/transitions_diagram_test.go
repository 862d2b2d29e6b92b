package failover

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
)

// diagramFile is made from the table of transitions, so that the documentation can't disagree with the code.
const diagramFile = "../docs/transitions.md"

// diagramStages is the order in which the diagram lists stages: that of an operation's life.
var diagramStages = []Stage{
	Steady, Suspected, Confirmed, Leased, Isolating, Isolated, CatchingUp, CaughtUp, Promoting, Promoted, Configuring, Routing,
	Scaling, Verifying, Held,
}

// diagramEverywhere are moves that most stages have alike. They are told in words: as arrows they would hide the others.
var diagramEverywhere = []EventKind{LeaseGranted, OperationHeld, OperationReleased, OperationAborted, OperationEnded}

// TestTransitionsDiagramIsCurrent compares docs/transitions.md with the table. With -rewrite it writes the file anew.
func TestTransitionsDiagramIsCurrent(t *testing.T) {
	for stage := range transitions {
		if !slices.Contains(diagramStages, stage) {
			t.Fatalf("the diagram leaves stage %s out: add it to diagramStages", stage)
		}
	}
	want := []byte(transitionsPage())
	if *rewrite {
		if err := os.WriteFile(diagramFile, want, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	got, err := os.ReadFile(diagramFile)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("docs/transitions.md is not what the table says: go test ./failover -run TestTransitionsDiagramIsCurrent -rewrite, and review the difference")
	}
}

func transitionsPage() string {
	var b strings.Builder
	b.WriteString("<!-- Made from failover/transitions.go by failover/transitions_diagram_test.go (-rewrite). Do not edit. -->\n")
	b.WriteString("# The life of an operation\n\n")
	b.WriteString("Every arrow is a pair of the table in [`failover/transitions.go`](../failover/transitions.go). A pair that is not there is refused and\n" +
		"changes nothing. What the events mean: [design.md](design.md#operations).\n\n")
	b.WriteString("```mermaid\n" + mermaid() + "```\n\n")
	b.WriteString("Left out of the drawing, since most stages have them alike:\n\n")
	for _, kind := range diagramEverywhere {
		fmt.Fprintf(&b, "- `%s`: %s\n", kind, everywhereText(kind))
	}
	b.WriteString("\nWhile an operation is `held` the row of the stage that it came from answers, so it has no row of its own.\n\n## The whole table\n\n")
	b.WriteString(transitionTable())
	return b.String()
}

// mermaid draws the moves from one stage to another, those between the same two stages as one arrow.
func mermaid() string {
	var b strings.Builder
	b.WriteString("stateDiagram-v2\n    [*] --> steady\n")
	for _, from := range diagramStages {
		kinds := map[Stage][]string{}
		for kind, to := range transitions[from] {
			if to != from && !slices.Contains(diagramEverywhere, kind) || from == Confirmed && kind == LeaseGranted {
				kinds[to] = append(kinds[to], string(kind))
			}
		}
		for _, to := range diagramStages {
			if names := kinds[to]; len(names) > 0 {
				slices.Sort(names)
				fmt.Fprintf(&b, "    %s --> %s: %s\n", from, to, strings.Join(names, ", "))
			}
		}
	}
	return b.String()
}

// everywhereText says of an event where it leads, and from which stages.
func everywhereText(kind EventKind) string {
	stay, move := []string{}, map[Stage][]string{}
	for _, from := range diagramStages {
		to, ok := transitions[from][kind]
		switch {
		case ok && to == from:
			stay = append(stay, string(from))
		case ok && (kind != LeaseGranted || from != Confirmed):
			move[to] = append(move[to], string(from))
		}
	}
	var parts []string
	if len(stay) > 0 {
		parts = append(parts, "keeps the stage in "+strings.Join(stay, ", "))
	}
	for _, to := range diagramStages {
		if len(move[to]) > 0 {
			parts = append(parts, fmt.Sprintf("leads to `%s` from %s", to, strings.Join(move[to], ", ")))
		}
	}
	return strings.Join(parts, "; ")
}

func transitionTable() string {
	var b strings.Builder
	b.WriteString("| stage | event | next stage |\n|---|---|---|\n")
	for _, from := range diagramStages {
		for _, kind := range slices.Sorted(maps.Keys(transitions[from])) {
			fmt.Fprintf(&b, "| %s | %s | %s |\n", from, kind, transitions[from][kind])
		}
	}
	return b.String()
}
