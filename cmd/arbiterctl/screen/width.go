package screen

import (
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
)

const (
	// columnGap stands between the columns of a table.
	columnGap = 2
	// narrowest is how narrow a column gets by folding its cells. Below, more lines would be gained than columns.
	narrowest = 12
	// hanging is how far the second line of a folded sentence is set in.
	hanging = 4
)

// escape is an ANSI sequence of colour.
var escape = regexp.MustCompile("\x1b\\[[0-9;]*m")

// word is what a line is not broken in, with the spaces around it.
var word = regexp.MustCompile(` *[^ ]+ *`)

// visible is how many cells a text takes on a terminal.
func visible(words string) int { return utf8.RuneCountInString(escape.ReplaceAllString(words, "")) }

// fold breaks words into lines of a width, the ones after the first set in. A width of 0 breaks nothing. A command is not broken, so that it can be
// copied, and a colour ends with each line and goes on in the next.
func fold(words string, width, indent int) []string {
	if width <= 0 || visible(words) <= width {
		return []string{words}
	}
	var lines []string
	rest := strings.TrimLeft(words, " ")
	line, colour := words[:len(words)-len(rest)], ""
	for _, word := range unbroken(rest) {
		switch blank := strings.TrimRight(line, " ") == ""; {
		case blank || visible(line)+visible(strings.TrimRight(word, " ")) <= width:
			line += word
		default:
			lines = append(lines, closed(strings.TrimRight(line, " "), colour))
			line = strings.Repeat(" ", indent) + colour + word
		}
		for _, code := range escape.FindAllString(word, -1) {
			if colour = code; code == "\x1b[0m" {
				colour = ""
			}
		}
	}
	return append(lines, strings.TrimRight(line, " "))
}

// closed ends the colour that a line was broken in.
func closed(line, colour string) string {
	if colour == "" {
		return line
	}
	return line + "\x1b[0m"
}

// unbroken splits words where a line may end: after spaces, but not in a command.
func unbroken(words string) []string {
	prose, command := words, ""
	if at := strings.Index(words, "arbiterctl "); at >= 0 {
		prose, command = words[:at], words[at:]
	}
	parts := word.FindAllString(prose, -1)
	if command != "" {
		parts = append(parts, command)
	}
	return parts
}

// table writes rows under a header, as wide as there is room for; below says what stands under each row, and may be nil. Cells are folded where
// that makes room enough; else the last columns go under their rows, by their names.
func (p *page) table(header []string, rows [][]string, below func(row int)) {
	head, body := grid(p.width, header, rows)
	p.raw(head)
	for i, lines := range body {
		p.raw(lines)
		if below != nil {
			below(i)
		}
	}
}

// raw writes lines that are laid out already.
func (p *page) raw(lines []string) {
	for _, line := range lines {
		p.WriteString(line + "\n")
	}
}

// columns lays rows out under each other within a width, without a header.
func columns(width int, rows [][]string) []string {
	_, body := grid(width, nil, rows)
	return slices.Concat(body...)
}

// grid lays rows out under a header, without lines between them, and returns the lines of each.
func grid(width int, header []string, rows [][]string) (head []string, body [][]string) {
	cells := make([][]string, 0, len(rows)+1)
	for _, row := range append([][]string{header}, rows...) {
		if row != nil {
			cells = append(cells, inUnits(row))
		}
	}
	if len(cells) == 0 {
		return nil, nil
	}
	kept := len(cells[0])
	widths, fits := narrowed(width, cells, kept)
	for header != nil && !fits && kept > 1 {
		kept--
		widths, fits = narrowed(width, cells, kept)
	}
	lines := render(cells, widths)
	if header == nil {
		return nil, lines
	}
	for i, row := range rows {
		lines[i+1] = append(lines[i+1], moved(width, header[kept:], inUnits(row[kept:]))...)
	}
	return lines[0], lines[1:]
}

func inUnits(row []string) []string {
	cells := make([]string, len(row))
	for i, cell := range row {
		cells[i] = InUnits(cell)
	}
	return cells
}

// moved are the cells that there was no room for beside the others.
func moved(width int, names, cells []string) []string {
	var parts []string
	for i, cell := range cells {
		if cell != "-" && cell != "" {
			parts = append(parts, strings.ToLower(names[i])+" "+cell)
		}
	}
	if len(parts) == 0 {
		return nil
	}
	return fold("  "+strings.Join(parts, " · "), width, hanging)
}

// narrowed are the widths of the first columns: those of their longest cells, or with the widest ones made narrower until all fit.
func narrowed(width int, cells [][]string, kept int) (widths []int, fits bool) {
	widths, least, sum := make([]int, kept), make([]int, kept), columnGap*(kept-1)
	for column := range kept {
		for _, row := range cells {
			widths[column] = max(widths[column], visible(row[column]))
			for _, word := range strings.Fields(row[column]) {
				least[column] = max(least[column], visible(word))
			}
		}
		least[column] = max(least[column], min(widths[column], narrowest))
		sum += widths[column]
	}
	for width > 0 && sum > width {
		widest := -1
		for column, w := range widths {
			if w > least[column] && (widest < 0 || w > widths[widest]) {
				widest = column
			}
		}
		if widest < 0 {
			return widths, false
		}
		widths[widest]--
		sum--
	}
	return widths, true
}

// render gives the lines of each row, with the cells folded.
func render(cells [][]string, widths []int) [][]string {
	writer := table.NewWriter()
	writer.SetStyle(table.Style{Box: table.BoxStyle{PaddingRight: strings.Repeat(" ", columnGap)}, Format: table.FormatOptions{Row: text.FormatDefault}})
	writer.SuppressTrailingSpaces()
	heights := make([]int, len(cells))
	for i, row := range cells {
		folded := make(table.Row, len(widths))
		for column, width := range widths {
			lines := fold(row[column], width, 0)
			folded[column], heights[i] = strings.Join(lines, "\n"), max(heights[i], len(lines))
		}
		writer.AppendRow(folded)
	}
	lines := strings.Split(writer.Render(), "\n")
	rendered := make([][]string, len(cells))
	for i, height := range heights {
		for _, line := range lines[:height] {
			rendered[i] = append(rendered[i], strings.TrimRight(line, " "))
		}
		lines = lines[height:]
	}
	return rendered
}
