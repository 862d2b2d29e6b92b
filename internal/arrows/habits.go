package arrows

import (
	"go/ast"
	"maps"
	"slices"
	"strings"
)

// commentFaults reports packages that don't say what they are for.
func (t *Tree) commentFaults() []Fault {
	type state struct {
		first     string // a file to name, one without _test if there is any
		test      bool
		commented bool
	}
	folders := map[string]state{}
	for _, f := range t.files {
		s, seen := folders[f.folder]
		if !seen || s.test && !f.test {
			s.first, s.test = f.name, f.test
		}
		s.commented = s.commented || f.syntax.Doc != nil && strings.TrimSpace(f.syntax.Doc.Text()) != ""
		folders[f.folder] = s
	}
	var faults []Fault
	for _, folder := range slices.Sorted(maps.Keys(folders)) {
		if s := folders[folder]; !s.commented {
			faults = append(faults, fault(s.first, 1, "comment",
				"package %s has no package comment: say its purpose, guarantees, limits and goroutines", folder))
		}
	}
	return faults
}

// habitFaults reports code that runs before main, and code that ends the process from the inside.
func (t *Tree) habitFaults() []Fault {
	var faults []Fault
	for _, f := range t.files {
		if f.generated {
			continue
		}
		for _, declaration := range f.syntax.Decls {
			function, ok := declaration.(*ast.FuncDecl)
			if ok && function.Recv == nil && function.Name.Name == "init" {
				faults = append(faults, fault(f.name, t.line(function.Pos()), "habit", "declares init; wire it where it is used"))
			}
		}
		if f.test || f.syntax.Name.Name == "main" {
			continue
		}
		faults = append(faults, t.useFaults(f, "habit", exits, "only a main package ends the process; return an error")...)
	}
	return faults
}

// sizeFaults reports files, functions and interfaces that hold more than one concept, to judge by their size.
func (t *Tree) sizeFaults() []Fault {
	var faults []Fault
	for _, f := range t.files {
		if f.test || f.generated {
			continue
		}
		if lines := t.line(f.syntax.FileEnd); lines > longestFile {
			faults = append(faults, fault(f.name, lines, "size", "has %d lines, more than %d; split it by concept", lines, longestFile))
		}
		ast.Inspect(f.syntax, func(node ast.Node) bool {
			switch node := node.(type) {
			case *ast.FuncDecl:
				if lines := t.lines(node); lines > longestFunction && !strings.Contains(node.Doc.Text(), "because") {
					faults = append(faults, fault(f.name, t.line(node.Pos()), "size",
						"%s has %d lines, more than %d; split it, or say in its comment because of what it is long", node.Name.Name, lines, longestFunction))
				}
			case *ast.TypeSpec:
				if face, ok := node.Type.(*ast.InterfaceType); ok && face.Methods.NumFields() > widestInterface {
					faults = append(faults, fault(f.name, t.line(node.Pos()), "size",
						"interface %s has %d methods, more than %d; its consumers need less", node.Name.Name, face.Methods.NumFields(), widestInterface))
				}
			}
			return true
		})
	}
	return faults
}
