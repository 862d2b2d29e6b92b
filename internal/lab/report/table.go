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
	var out strings.Builder
	fmt.Fprintf(&out, "%s, %d runs", b.Fault, len(b.Runs))
	for _, detail := range []struct{ name, value string }{{"profile", b.Profile}, {"fence", b.Fence}, {"hosts", b.Hosts}} {
		if detail.value != "" {
			fmt.Fprintf(&out, ", %s %s", detail.name, detail.value)
		}
	}
	out.WriteString("\n" + b.distributions() + "\n")
	fmt.Fprintf(&out, "%d acknowledged writes lost, %d writes accepted by two members\n", b.Lost(), b.Doubles())
	if b.Quiet != nil {
		fmt.Fprintf(&out, "%d false failovers in %.1f minutes of %s\n", b.Quiet.FalseFailovers, b.Quiet.Minutes, b.Quiet.Under)
	}
	for _, idle := range b.Idle {
		fmt.Fprintf(&out, "idle with %d groups: %.1f %% of a core, %.1f MB, log grows %.0f bytes per minute\n",
			idle.Groups, idle.CPUPercent, idle.RSSMB, idle.LogBytesPerMinute)
	}
	if _, err := io.WriteString(to, out.String()); err != nil {
		return fmt.Errorf("print report: %w", err)
	}
	return nil
}

func (b *Bench) distributions() string {
	t := table.NewWriter()
	style := table.StyleLight
	style.Options = table.OptionsNoBordersAndSeparators
	style.Format.Header, style.Format.Footer = text.FormatDefault, text.FormatDefault
	t.SetStyle(style)
	t.AppendHeader(table.Row{"ms", "min", "p50", "p90", "max"})
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
	var columns []table.ColumnConfig
	for number := 2; number <= 5; number++ {
		columns = append(columns, table.ColumnConfig{Number: number, Align: text.AlignRight, AlignHeader: text.AlignRight})
	}
	t.SetColumnConfigs(columns)
	return t.Render()
}

func row(name string, values []float64) table.Row {
	d := Summarise(values)
	cells := table.Row{name}
	for _, v := range []float64{d.Min, d.P50, d.P90, d.Max} {
		cells = append(cells, fmt.Sprintf("%.0f", v))
	}
	return cells
}
