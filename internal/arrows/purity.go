package arrows

import (
	"go/ast"
	"slices"
)

// purityFaults reports what could make a pure folder answer differently on another replica or tomorrow.
func (t *Tree) purityFaults() []Fault {
	var faults []Fault
	for _, f := range t.files {
		if f.test || !f.among(pure) {
			continue
		}
		faults = append(faults, t.impureImportFaults(f)...)
		faults = append(faults, t.useFaults(f, "purity", impureFunctions, "time is an input of pure code")...)
		ast.Inspect(f.syntax, func(node ast.Node) bool {
			if statement, ok := node.(*ast.GoStmt); ok {
				faults = append(faults, fault(f.name, t.line(statement.Pos()), "purity", "starts a goroutine; pure code runs in its caller's"))
			}
			return true
		})
	}
	return faults
}

func (t *Tree) impureImportFaults(f file) []Fault {
	var faults []Fault
	for _, spec := range f.syntax.Imports {
		imported := importPath(spec)
		if spec.Name != nil && spec.Name.Name == "." {
			faults = append(faults, fault(f.name, t.line(spec.Pos()), "purity", "imports %s into its own name space, which hides what it uses", imported))
		}
		if f.excused(imported) {
			continue
		}
		for banned, why := range impureImports {
			if within(imported, banned) {
				faults = append(faults, fault(f.name, t.line(spec.Pos()), "purity", "imports %s: %s", imported, why))
			}
		}
	}
	return faults
}

// excused reports whether an exception lets the file's folder import a package.
func (f file) excused(imported string) bool {
	for folder, allowed := range pureMayImport {
		if within(f.folder, folder) && slices.Contains(allowed, imported) {
			return true
		}
	}
	return false
}

// useFaults reports every mention of the named functions, called or passed on.
func (t *Tree) useFaults(f file, rule string, banned map[string][]string, why string) []Fault {
	var faults []Fault
	names := f.localNames()
	ast.Inspect(f.syntax, func(node ast.Node) bool {
		selector, ok := node.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		if base, ok := selector.X.(*ast.Ident); ok && slices.Contains(banned[names[base.Name]], selector.Sel.Name) {
			faults = append(faults, fault(f.name, t.line(selector.Pos()), rule, "uses %s.%s: %s", base.Name, selector.Sel.Name, why))
		}
		return true
	})
	return faults
}
