package mutants

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"text/tabwriter"
)

// ErrSurvived says that a mutant was not caught.
var ErrSurvived = errors.New("a planted bug was not found")

// Write tells people, and machines where a path is given, which mutants were caught. It fails with ErrSurvived if one wasn't.
func Write(out io.Writer, path string, results []Result) error {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "MUTANT\tRULE\tCAUGHT BY\tAFTER\tHOW")
	survived := 0
	for _, r := range results {
		by := r.CaughtBy
		if by == "" {
			by, survived = "NOBODY", survived+1
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%.1f s\t%.100s\n", r.Name, r.Rule, by, r.Seconds, r.How)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(out, "%d of %d mutants were caught\n", len(results)-survived, len(results))
	if path != "" {
		data, err := json.Marshal(map[string]any{"kind": "mutants", "mutants": results})
		if err != nil {
			return fmt.Errorf("encode report: %w", err)
		}
		if err := os.WriteFile(path, append(data, '\n'), 0o644); err != nil {
			return fmt.Errorf("write report: %w", err)
		}
	}
	if survived > 0 {
		return ErrSurvived
	}
	return nil
}
