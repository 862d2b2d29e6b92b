package e2e

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// doc.go lists every test that -fence leaves a fence alone in, and no other: no scenario opts out unseen.
func TestOwnFencesAreListed(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	var listed []string
	keeping := map[string]bool{}
	for _, file := range files {
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		if file == "doc.go" {
			for _, match := range regexp.MustCompile(`(?m)^ *- (Test\w+): .{10,}`).FindAllStringSubmatch(parsed.Doc.Text(), -1) {
				listed = append(listed, match[1])
			}
		}
		for _, declared := range parsed.Decls {
			f, ok := declared.(*ast.FuncDecl)
			if !ok || f.Body == nil {
				continue
			}
			keeps, spoils := fencesOf(f)
			switch {
			case !isTest(f):
				// A helper that kept fences would hide who does.
				if keeps && !slices.Contains(settersOfFences, f.Name.Name) {
					t.Errorf("%s keeps fences: a test has to say so itself", f.Name.Name)
				}
			case keeps || !spoils:
				keeping[f.Name.Name] = true
			}
		}
	}
	slices.Sort(listed)
	delete(keeping, t.Name()) // it has none
	if want := slices.Sorted(maps.Keys(keeping)); !slices.Equal(listed, want) {
		t.Errorf("doc.go lists\n  %s\nand fences are kept by\n  %s", strings.Join(listed, "\n  "), strings.Join(want, "\n  "))
	}
}

// settersOfFences are the functions that keep and give up fences for tests that say so.
var settersOfFences = []string{"enterFor", "giveUpFences"}

func isTest(f *ast.FuncDecl) bool {
	return f.Recv == nil && strings.HasPrefix(f.Name.Name, "Test") && f.Name.Name != "TestMain"
}

// fencesOf says whether a function has fences kept, and whether it lets -fence make any bad: by entering a stage, or itself.
func fencesOf(f *ast.FuncDecl) (keeps, spoils bool) {
	ast.Inspect(f.Body, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.KeyValueExpr:
			keeps = keeps || isKeeping(n.Key)
		case *ast.AssignStmt:
			keeps = keeps || slices.ContainsFunc(n.Lhs, isKeeping)
		case *ast.Ident:
			spoils = spoils || slices.Contains([]string{"enter", "enterFor", "spoilFence"}, n.Name)
		}
		return true
	})
	return keeps, spoils
}

// isKeeping says whether an expression is the field that says whose fences are kept, of a plan or of a stage.
func isKeeping(e ast.Expr) bool {
	name, ok := e.(*ast.Ident)
	if field, is := e.(*ast.SelectorExpr); is {
		name, ok = field.Sel, true
	}
	return ok && (name.Name == "ownFences" || name.Name == "owned")
}
