package failover

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"strconv"
	"strings"
	"testing"
)

// runbookFile has a section for each reason to hold, headed by the reason itself.
const runbookFile = "../docs/operations.md"

// TestEveryHoldReasonHasARunbook: an operator who is woken by a held operation finds its reason in the documentation, and no runbook
// is left of a reason that is gone.
func TestEveryHoldReasonHasARunbook(t *testing.T) {
	text, err := os.ReadFile(runbookFile)
	if err != nil {
		t.Fatal(err)
	}
	sections := runbooks(string(text))
	for _, reason := range holdReasons(t) {
		section, found := sections[reason]
		switch {
		case !found:
			t.Errorf("docs/operations.md has no section `### %s` under \"An operation is held\": what does it mean, and what does an operator do?", reason)
		case len(strings.Fields(section)) < 15:
			t.Errorf("docs/operations.md: the section %s says next to nothing: %q", reason, section)
		}
		delete(sections, reason)
	}
	for left := range sections {
		t.Errorf("docs/operations.md has a runbook for %q, which is no reason to hold", left)
	}
}

// runbooks are the sections of the third level below the heading about held operations.
func runbooks(text string) map[string]string {
	_, held, _ := strings.Cut(text, "\n## An operation is held\n")
	held, _, _ = strings.Cut(held, "\n## ")
	sections := map[string]string{}
	for _, section := range strings.Split("\n"+held, "\n### ")[1:] {
		name, body, _ := strings.Cut(section, "\n")
		sections[strings.TrimSpace(name)] = body
	}
	return sections
}

// holdReasons reads the constants of type HoldReason from the source, so that a new one can't be forgotten here.
func holdReasons(t *testing.T) []string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "operation.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var reasons []string
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		if named, ok := spec.Type.(*ast.Ident); !ok || named.Name != "HoldReason" {
			return true
		}
		for _, value := range spec.Values {
			if literal, ok := value.(*ast.BasicLit); ok {
				reason, err := strconv.Unquote(literal.Value)
				if err != nil {
					t.Fatal(err)
				}
				reasons = append(reasons, reason)
			}
		}
		return true
	})
	if len(reasons) == 0 {
		t.Fatal("operation.go has no constants of type HoldReason: they have moved")
	}
	return reasons
}
