package serviceapi

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"github.com/arbiter-ha/arbiter/failover"
)

// TestDocs_ContractIsWhole holds docs/http-engine.md to the code: every verb, field and code is on it.
func TestDocs_ContractIsWhole(t *testing.T) {
	text, err := os.ReadFile("../../docs/http-engine.md")
	if err != nil {
		t.Fatal(err)
	}
	page := string(text)
	for _, verb := range constants(t, "Verb") {
		if !strings.Contains(page, "`POST "+verb+"`") && !strings.Contains(page, "`GET "+verb+"`") {
			t.Errorf("the page has no request %s", verb)
		}
	}
	codes := constants(t, "Code")
	for _, reason := range []failover.Reason{
		failover.ReasonStartingUp, failover.ReasonCrashRecovery, failover.ReasonShuttingDown, failover.ReasonTooManyConnections,
		failover.ReasonReadOnly, failover.ReasonDiskFull,
	} {
		codes = append(codes, string(reason))
	}
	for _, document := range []any{Order{}, Peer{}, State{}, SyncRule{}, Standby{}, Row{}, Proof{}, Refusal{}} {
		for i := range reflect.TypeOf(document).NumField() {
			name, _, _ := strings.Cut(reflect.TypeOf(document).Field(i).Tag.Get("json"), ",")
			if name != "-" && name != "error" && name != "detail" {
				codes = append(codes, name)
			}
		}
	}
	for _, word := range codes {
		if !strings.Contains(page, "`"+word+"`") {
			t.Errorf("the page doesn't explain `%s`", word)
		}
	}
}

// constants are the literal constants of a type in contract.go.
func constants(t *testing.T, kind string) []string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "contract.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || len(spec.Values) != 1 {
			return true
		}
		name, typed := spec.Type.(*ast.Ident)
		literal, isLiteral := spec.Values[0].(*ast.BasicLit)
		if typed && name.Name == kind && isLiteral {
			if text, err := strconv.Unquote(literal.Value); err == nil {
				found = append(found, text)
			}
		}
		return true
	})
	if len(found) < 5 {
		t.Fatalf("only %d constants of type %s were found", len(found), kind)
	}
	return found
}
