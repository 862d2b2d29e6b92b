package report

import (
	"fmt"
	"io"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
)

// WriteTable writes the distribution per phase and the sums, for people.
func (b *Bench) WriteTable(to io.Writer) error {
	return b.write(to, "", func(t table.Writer) string { return t.Render() })
}

// WriteMarkdown writes the same for documents.
func (b *Bench) WriteMarkdown(to io.Writer) error {
	// Paragraphs and tables need an empty line between them.
	return b.write(to, "\n", func(t table.Writer) string { return t.RenderMarkdown() })
}

// write puts the parts together; gap follows each of them.
func (b *Bench) write(to io.Writer, gap string, render func(table.Writer) string) error {
	parts := []string{b.headline()}
	if len(b.Runs) > 0 {
		parts = append(parts, render(b.distributions()),
			fmt.Sprintf("%d acknowledged writes lost, %d writes accepted by two members", b.Lost(), b.Doubles()), b.price())
	}
	if b.Quiet != nil && len(b.Runs) == 0 {
		parts = append(parts, b.Quiet.price(), render(b.Quiet.table()))
	}
	for _, idle := range b.Idle {
		parts = append(parts, idle.parts(render)...)
	}
	if words := speed(b.machines()); words != "" {
		parts = append(parts, words)
	}
	if _, err := io.WriteString(to, strings.Join(parts, "\n"+gap)+"\n"); err != nil {
		return fmt.Errorf("print report: %w", err)
	}
	return nil
}

// parts are the tables and sentences about what it costs when nothing happens.
func (i Idle) parts(render func(table.Writer) string) []string {
	parts := []string{fmt.Sprintf("idle with %d groups: %.1f %% of a core, %.1f MB, log grows %.0f bytes and %.0f entries per minute",
		i.Groups, i.CPUPercent, i.RSSMB, i.LogBytesPerMinute, i.LogEntriesPerMinute)}
	if len(i.Arbiters) > 0 {
		parts = append(parts, render(i.table()))
	}
	if len(i.Entries) > 0 {
		parts = append(parts, render(i.entriesTable()))
	}
	if len(i.WholeViews) > 0 {
		parts = append(parts, render(i.wholeTable()))
	}
	if i.LogsKept != "" {
		parts = append(parts, "the log grew: what the arbiters said meanwhile was kept in "+i.LogsKept)
	}
	if i.ServingMS > 0 {
		parts = append(parts, fmt.Sprintf("from start to serving: %.0f ms for a whole new cluster, %.0f ms for one arbiter that was restarted among them",
			i.ServingMS, i.AgainMS))
	}
	if i.Shared != "" {
		parts = append(parts, i.Shared)
	}
	return parts
}

func (i Idle) entriesTable() table.Writer {
	t := newTable("entries of the log", "how many", "bytes")
	for _, e := range i.Entries {
		t.AppendRow(table.Row{e.Kind, e.Entries, e.Bytes})
	}
	return t
}

func (i Idle) wholeTable() table.Writer {
	t := newTable("whole views", "how many", "bytes")
	for _, w := range i.WholeViews {
		t.AppendRow(table.Row{w.Arbiter + ": " + w.Why, w.Views, w.Bytes})
	}
	return t
}

func (b *Bench) headline() string {
	words := []string{b.Fault}
	if len(b.Runs) > 0 {
		words = append(words, fmt.Sprintf("%d runs", len(b.Runs)))
	}
	for _, detail := range []struct{ name, value string }{{"service", b.Service}, {"profile", b.Profile}, {"fence", b.Fence}, {"hosts", b.Hosts}} {
		if detail.value != "" {
			words = append(words, detail.name+" "+detail.value)
		}
	}
	return strings.Join(words, ", ")
}

// newTable has a first column of names and further ones of numbers.
func newTable(header ...any) table.Writer {
	t := table.NewWriter()
	style := table.StyleLight
	style.Options = table.OptionsNoBordersAndSeparators
	style.Format.Header, style.Format.Footer = text.FormatDefault, text.FormatDefault
	t.SetStyle(style)
	t.AppendHeader(header)
	var columns []table.ColumnConfig
	for number := 2; number <= len(header); number++ {
		columns = append(columns, table.ColumnConfig{Number: number, Align: text.AlignRight, AlignHeader: text.AlignRight})
	}
	t.SetColumnConfigs(columns)
	return t
}

func (b *Bench) distributions() table.Writer {
	t := newTable("ms", "min", "p50", "p90", "max")
	for _, p := range phases() {
		var values []float64
		for _, run := range b.Runs {
			if run.PhasesMS != nil {
				values = append(values, p.of(run.PhasesMS))
			}
		}
		if len(values) > 0 {
			t.AppendRow(row(p.name, values))
		}
	}
	t.AppendRow(row("outage", b.Outages()))
	return t
}

func row(name string, values []float64) table.Row {
	d := Summarise(values)
	cells := table.Row{name}
	for _, v := range []float64{d.Min, d.P50, d.P90, d.Max} {
		cells = append(cells, fmt.Sprintf("%.0f", v))
	}
	return cells
}

func (i Idle) table() table.Writer {
	t := newTable("arbiter", "CPU % of a core", "RSS MB", "log bytes per minute")
	for _, a := range i.Arbiters {
		name := a.Name
		if a.Leader {
			name += " (leader)"
		}
		t.AppendRow(table.Row{name, fmt.Sprintf("%.2f", a.CPUPercent), fmt.Sprintf("%.1f", a.RSSMB), fmt.Sprintf("%.0f", a.LogBytesPerMinute)})
	}
	return t
}
