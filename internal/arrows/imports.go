package arrows

import (
	"path"
	"slices"
	"strings"
)

// layerFaults reports imports inside the repository that go against the table of layers, and folders the table lacks.
func (t *Tree) layerFaults() []Fault {
	var faults []Fault
	unknown := map[string]bool{}
	for _, f := range t.files {
		from, found := layerOf(f.folder)
		if !found {
			if !unknown[f.folder] {
				unknown[f.folder] = true
				faults = append(faults, fault(f.name, 1, "layer",
					"folder %s is in no layer; decide what it may import and add it to internal/arrows/rules.go", f.folder))
			}
			continue
		}
		if f.test && !from.withTests {
			continue
		}
		faults = append(faults, t.againstLayer(f, from)...)
	}
	return faults
}

func (t *Tree) againstLayer(f file, from layer) []Fault {
	var faults []Fault
	for _, spec := range f.syntax.Imports {
		to, ok := own(importPath(spec))
		if !ok || within(to, from.folder) || slices.ContainsFunc(from.may, func(may string) bool { return within(to, may) }) {
			continue
		}
		faults = append(faults, fault(f.name, t.line(spec.Pos()), "layer",
			"%s imports %s; it may import %s: %s", from.folder, to, list(from.may), from.why))
	}
	return faults
}

// layerOf returns the layer of a folder: the entry with the longest matching name.
func layerOf(folder string) (layer, bool) {
	var best layer
	for _, candidate := range layers {
		if within(folder, candidate.folder) && len(candidate.folder) > len(best.folder) {
			best = candidate
		}
	}
	return best, best.folder != ""
}

// siblingFaults reports drivers below one folder that import each other: fence/a and fence/b may share fence, no more.
func (t *Tree) siblingFaults() []Fault {
	var faults []Fault
	for _, f := range t.files {
		kind, below, _ := strings.Cut(f.folder, "/")
		if f.test || !slices.Contains(drivers, kind) || below == "" {
			continue
		}
		for _, spec := range f.syntax.Imports {
			to, ok := own(importPath(spec))
			if ok && within(to, kind) && !within(to, f.folder) && !within(f.folder, to) {
				faults = append(faults, fault(f.name, t.line(spec.Pos()), "drivers", "%s imports %s; drivers never import each other", f.folder, to))
			}
		}
	}
	return faults
}

// exclusiveFaults reports imports of libraries that belong to others.
func (t *Tree) exclusiveFaults() []Fault {
	var faults []Fault
	for _, f := range t.files {
		for _, spec := range f.syntax.Imports {
			imported := importPath(spec)
			for _, rule := range exclusives {
				if !strings.HasPrefix(imported, rule.library) || f.test && !rule.withTests || f.among(rule.only) {
					continue
				}
				faults = append(faults, fault(f.name, t.line(spec.Pos()), "library",
					"%s imports %s; only %s may: %s", f.folder, imported, list(rule.only), rule.why))
			}
		}
	}
	return faults
}

// among reports whether the file lies in one of the folders or matches one of the patterns.
func (f file) among(places []string) bool {
	return slices.ContainsFunc(places, func(place string) bool {
		matched, _ := path.Match(place, f.name) // the patterns are constants, tested to be well-formed
		return matched || within(f.folder, place)
	})
}

// standardFaults reports imports from outside in folders that keep to the standard library.
func (t *Tree) standardFaults() []Fault {
	var faults []Fault
	for _, f := range t.files {
		if f.test || !f.among(standardOnly) {
			continue
		}
		for _, spec := range f.syntax.Imports {
			imported := importPath(spec)
			if _, ours := own(imported); !ours && !standard(imported) {
				faults = append(faults, fault(f.name, t.line(spec.Pos()), "standard", "%s imports %s; it keeps to the standard library", f.folder, imported))
			}
		}
	}
	return faults
}

// list writes names for people.
func list(names []string) string {
	if len(names) == 0 {
		return "nothing of this repository"
	}
	return strings.Join(names, ", ")
}
