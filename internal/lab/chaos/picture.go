package chaos

import (
	"errors"
	"fmt"
	"image/color"
	"os"
	"slices"
	"time"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"
)

// bar is one time in a row of the picture.
type bar struct {
	span Span
	row  float64
}

var (
	reignColor  = color.RGBA{R: 0x2a, G: 0x7f, B: 0x3f, A: 0xff}
	faultColor  = color.RGBA{R: 0xc0, G: 0x50, B: 0x20, A: 0xff}
	outageColor = color.RGBA{R: 0x20, G: 0x20, B: 0x20, A: 0xff}
	holdColor   = color.RGBA{R: 0x50, G: 0x50, B: 0xc0, A: 0xff}
)

// WritePlot draws the run as SVG to a file: a row per kind of fault, one per member for the times in which it was
// writable, one for holds and one for outages.
func (r *Report) WritePlot(path string) error {
	picture, rows, err := r.picture()
	if err != nil {
		return fmt.Errorf("draw timeline: %w", err)
	}
	width := vg.Length(max(16, 5*r.Minutes)) * vg.Centimeter
	canvas := vgsvg.New(min(width, 120*vg.Centimeter), vg.Length(rows+4)*0.55*vg.Centimeter)
	picture.Draw(draw.New(canvas))
	file, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("write picture: %w", err)
	}
	_, err = canvas.WriteTo(file)
	if err := errors.Join(err, file.Close()); err != nil {
		return fmt.Errorf("write picture: %w", err)
	}
	return nil
}

func (r *Report) picture() (*plot.Plot, int, error) {
	p := plot.New()
	p.Title.Text = fmt.Sprintf("seed %d: %d faults, %d failovers, %d lost, %d double writable", r.Seed, r.Faults, r.Failovers, r.LostAcked, r.DoubleWritable)
	p.X.Label.Text = "seconds"
	p.X.Min = 0
	var names []string // of the rows, from below
	row := func(name string) float64 {
		if at := slices.Index(names, name); at >= 0 {
			return float64(at)
		}
		names = append(names, name)
		return float64(len(names) - 1)
	}
	add := func(bars []bar, c color.Color) error {
		for _, b := range bars {
			line, err := plotter.NewLine(plotter.XYs{{X: r.second(b.span.From), Y: b.row}, {X: max(r.second(b.span.Until), r.second(b.span.From)+0.1), Y: b.row}})
			if err != nil {
				return err
			}
			line.Color, line.Width = c, 5
			p.Add(line)
		}
		return nil
	}
	var outages, holds, reigns, faults []bar
	for _, o := range r.outages {
		outages = append(outages, bar{o, row("outage")})
	}
	for _, h := range r.Holds {
		holds = append(holds, bar{Span{h.From, later(h.From, h.Until)}, row("held")})
	}
	for _, member := range sortedMembers(r.reigns) {
		for _, reign := range r.reigns {
			if reign.Member == member {
				reigns = append(reigns, bar{Span{reign.From, reign.Until}, row(member + " writable")})
			}
		}
	}
	for _, kind := range slices.Sorted(kindsOf(r.injected)) {
		for _, i := range r.injected {
			if i.Kind == kind {
				faults = append(faults, bar{Span{i.Began, i.Ended}, row(string(kind))})
			}
		}
	}
	err := errors.Join(add(outages, outageColor), add(holds, holdColor), add(reigns, reignColor), add(faults, faultColor))
	p.NominalY(names...)
	p.Add(plotter.NewGrid())
	return p, len(names), err
}

func (r *Report) second(t time.Time) float64 { return max(0, t.Sub(r.Began).Seconds()) }

func sortedMembers(reigns []Reign) (names []string) {
	for _, reign := range reigns {
		if !slices.Contains(names, reign.Member) {
			names = append(names, reign.Member)
		}
	}
	slices.Sort(names)
	return names
}

func kindsOf(injected []Injected) func(yield func(Kind) bool) {
	return func(yield func(Kind) bool) {
		var seen []Kind
		for _, i := range injected {
			if slices.Contains(seen, i.Kind) {
				continue
			}
			if seen = append(seen, i.Kind); !yield(i.Kind) {
				return
			}
		}
	}
}
