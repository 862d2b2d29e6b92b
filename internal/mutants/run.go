package mutants

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
)

// Layer is one thing that looks for bugs: a program with its settings, or the tests of a package. It exits with status 0 if it found none.
type Layer struct {
	Name    string
	Package string   // of the program, from the root of the project
	Env     []string // of the program
	Tests   string   // which tests of the package; empty: it is a program
}

// asked says whether a layer is asked for a mutant: the shell is part of one of them only, which is slow, and the explorer runs no arbiter's view.
func (l Layer) asked(m Mutant) bool {
	switch {
	case m.File == "":
		return true
	case strings.HasPrefix(m.File, shellFolder):
		return l.Name == virtual
	case strings.HasPrefix(m.File, viewFolder):
		return l.Name == simulator
	}
	return l.Name != virtual
}

// Sought says whether any of the layers is asked for the mutant.
func (m Mutant) Sought(layers []Layer) bool {
	return slices.ContainsFunc(layers, func(l Layer) bool { return l.asked(m) })
}

// The layers that run more than the core, and where that is.
const (
	simulator   = "sim"
	virtual     = "virtual"
	viewFolder  = "internal/ownview/"
	shellFolder = "arbiter/"
)

// Layers are asked in this order: the quickest first. A name picks those that are called so; without one there are all.
func Layers(name string) []Layer {
	const explore, simulate = "./internal/explore/cmd/arbiter-explore", "./internal/sim/cmd/arbiter-sim"
	all := []Layer{
		{Name: "explore", Package: explore, Env: []string{"ODD=1", "UNTIL=failure", "WORKERS=1"}},
		{Name: simulator, Package: simulate, Env: []string{"SEEDS=300", "UNTIL=failure", "GOMAXPROCS=1"}},
		{Name: simulator, Package: simulate, Env: []string{"SEEDS=3000", "FIRST=300", "UNTIL=failure", "GOMAXPROCS=1"}},
		{Name: "explore", Package: explore, Env: []string{"ODD=2", "UNTIL=failure", "WORKERS=1"}},
		// A group that gets well late breaks no rule: all may.
		{Name: virtual, Package: "./internal/clustertest/virtual", Env: []string{"SEEDS=12", "LATE=12", "GOMAXPROCS=1"}, Tests: "^Test(S[0-9]+_|Search$)"},
	}
	return slices.DeleteFunc(all, func(l Layer) bool { return name != "" && l.Name != name })
}

// Result says which layer caught a mutant, and how long that took all in all. Nobody did if CaughtBy is empty.
type Result struct {
	Name     string  `json:"name"`
	CaughtBy string  `json:"caught_by"`
	Seconds  float64 `json:"seconds"`
	Rule     string  `json:"rule"`
	How      string  `json:"how"` // the violation, in the layer's words
}

// Hunter plants mutants and asks layers for them. It may be used by several goroutines at once.
type Hunter struct {
	root     string
	layers   []Layer
	limit    time.Duration
	innocent []func() error // of each layer: nil if it finds no fault with the product as it is; asked once
}

// NewHunter makes a hunter for the project at root. limit is for each layer and mutant; what it starts ends with ctx.
func NewHunter(ctx context.Context, root string, layers []Layer, limit time.Duration) *Hunter {
	h := &Hunter{root: root, layers: layers, limit: limit}
	for _, layer := range layers {
		h.innocent = append(h.innocent, sync.OnceValue(func() error { return h.control(ctx, layer) }))
	}
	return h
}

// ErrControl says that a layer finds fault with the product as it is: what it says of mutants means nothing.
var ErrControl = errors.New("a violation was found without any mutant")

// control asks a layer for the product as it is.
func (h *Hunter) control(ctx context.Context, layer Layer) error {
	trap, err := h.plant(Mutant{Name: "the product as it is"})
	if err != nil {
		return err
	}
	defer trap.remove()
	how, caught, err := trap.ask(ctx, layer)
	if err == nil && caught {
		err = fmt.Errorf("%w: %s", ErrControl, how)
	}
	if err != nil {
		return fmt.Errorf("%s %s: %w", layer.Name, strings.Join(layer.Env, " "), err)
	}
	return nil
}

// ErrStale says that a mutant's words are not in its file any more.
var ErrStale = errors.New("the words that the mutant replaces do not stand in its file exactly once")

// Hunt plants one mutant and asks each layer for it, until one catches it. A layer that catches something is asked for the product as it is,
// too, before it is believed.
func (h *Hunter) Hunt(ctx context.Context, m Mutant) (Result, error) {
	trap, err := h.plant(m)
	if err != nil {
		return Result{}, err
	}
	defer trap.remove()
	began, result := time.Now(), Result{Name: m.Name, Rule: m.Rule}
	for i, layer := range h.layers {
		if !layer.asked(m) {
			continue
		}
		how, caught, err := trap.ask(ctx, layer)
		if err != nil {
			return Result{}, fmt.Errorf("%s with %s: %w", layer.Name, m.Name, err)
		}
		if caught {
			result.CaughtBy, result.How, result.Seconds = layer.Name, how, time.Since(began).Seconds()
			return result, h.innocent[i]()
		}
	}
	result.Seconds = time.Since(began).Seconds()
	return result, nil
}

// trap is the project with one mutant in it, and the programs built of that so far.
type trap struct {
	root, dir, overlay string
	limit              time.Duration
	programs           map[string]string // by package
}

func (h *Hunter) plant(m Mutant) (*trap, error) {
	dir, err := os.MkdirTemp("", "mutant-")
	if err != nil {
		return nil, fmt.Errorf("plant %s: %w", m.Name, err)
	}
	overlay, err := plant(h.root, dir, m)
	if err != nil {
		os.RemoveAll(dir)
		return nil, fmt.Errorf("plant %s: %w", m.Name, err)
	}
	return &trap{root: h.root, dir: dir, overlay: overlay, limit: h.limit, programs: map[string]string{}}, nil
}

func (t *trap) remove() { os.RemoveAll(t.dir) }

// ask builds a layer where that isn't done yet, and runs it.
func (t *trap) ask(ctx context.Context, layer Layer) (how string, caught bool, err error) {
	if t.programs[layer.Package] == "" {
		program := filepath.Join(t.dir, filepath.Base(layer.Package))
		if err := build(ctx, t.root, t.overlay, layer, program); err != nil {
			return "", false, fmt.Errorf("build %s: %w", layer.Package, err)
		}
		t.programs[layer.Package] = program
	}
	return ask(ctx, t.programs[layer.Package], layer, t.limit)
}

// plant writes the mutated file, and an overlay that puts it in its place. A mutant without a file changes nothing.
func plant(root, dir string, m Mutant) (overlay string, err error) {
	overlay = filepath.Join(dir, "overlay.json")
	if m.File == "" {
		return overlay, os.WriteFile(overlay, []byte(`{"Replace": {}}`), 0o600)
	}
	file := filepath.Join(root, filepath.FromSlash(m.File))
	data, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	if strings.Count(string(data), m.Old) != 1 {
		return "", fmt.Errorf("%s: %w", m.File, ErrStale)
	}
	mutated := filepath.Join(dir, "mutated.go")
	if err := os.WriteFile(mutated, []byte(strings.Replace(string(data), m.Old, m.New, 1)), 0o600); err != nil {
		return "", err
	}
	replace, err := json.Marshal(map[string]map[string]string{"Replace": {file: mutated}})
	if err != nil {
		return "", err
	}
	return overlay, os.WriteFile(overlay, replace, 0o600)
}

func build(ctx context.Context, root, overlay string, layer Layer, program string) error {
	how := []string{"build"}
	if layer.Tests != "" {
		how = []string{"test", "-c"}
	}
	c := exec.CommandContext(ctx, "go", append(how, "-overlay", overlay, "-o", program, layer.Package)...)
	c.Dir = root
	if out, err := c.CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return nil
}

// ask runs a layer. One that comes to no end within the limit has caught nothing.
func ask(ctx context.Context, program string, layer Layer, limit time.Duration) (how string, caught bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	c := exec.CommandContext(ctx, program)
	if layer.Tests != "" {
		c.Args = append(c.Args, "-test.run", layer.Tests, "-test.failfast", "-test.timeout", "0")
	}
	c.Env = append(os.Environ(), append(layer.Env, "REPORT=")...)
	out, err := c.CombinedOutput()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return "", false, nil
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return "", false, nil
	case ctx.Err() != nil:
		return "", false, ctx.Err()
	case !errors.As(err, &exit):
		return "", false, err
	}
	if how = violation(string(out)); how == "" {
		return "", false, fmt.Errorf("%w (%s); its last words: %s", ErrNothingNamed, exit, lastWords(string(out)))
	}
	return how, true, nil
}

// ErrNothingNamed says that a layer failed without a violation: it was killed, or stopped, or couldn't begin. It has caught nothing.
var ErrNothingNamed = errors.New("it failed and named no rule that does not hold")

func lastWords(out string) string {
	out = strings.TrimSpace(out)
	return out[max(0, len(out)-500):]
}

// named are the lines in which the layers name a rule that did not hold: explore, sim, the search in virtual time, the tests of rules beside
// it; and a panic of what was asked.
var named = regexp.MustCompile(`^(.+ does not hold: |seed \d+ at |.* BREACH |--- FAIL: TestS\d+_|panic: )`)

// violation is the first of these lines; empty if there is none.
func violation(out string) string {
	for line := range strings.Lines(out) {
		if line = strings.TrimSpace(line); named.MatchString(line) {
			return line[:min(len(line), 200)]
		}
	}
	return ""
}
