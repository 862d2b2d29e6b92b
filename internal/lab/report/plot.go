package report

import (
	"errors"
	"fmt"
	"math"
	"os"
	"slices"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"
)

// Size of pictures.
const (
	pictureWidth  = 16 * vg.Centimeter
	pictureHeight = 9 * vg.Centimeter
)

// ErrNothingMeasured says that a picture was asked of a report without runs.
var ErrNothingMeasured = errors.New("nothing was measured that could be drawn")

// WritePlot draws which share of the runs had an outage of at most so many ms, a dot per run, as SVG to a file.
func (b *Bench) WritePlot(path string) error {
	if len(b.Runs) == 0 {
		return fmt.Errorf("draw outages: %w", ErrNothingMeasured)
	}
	picture, err := b.picture()
	if err != nil {
		return fmt.Errorf("draw outages: %w", err)
	}
	file, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("write picture: %w", err)
	}
	canvas := vgsvg.New(pictureWidth, pictureHeight)
	picture.Draw(draw.New(canvas))
	_, err = canvas.WriteTo(file)
	if err := errors.Join(err, file.Close()); err != nil {
		return fmt.Errorf("write picture: %w", err)
	}
	return nil
}

func (b *Bench) picture() (*plot.Plot, error) {
	points := shares(b.Outages())
	// The line is at 0 until the best run.
	line, err := plotter.NewLine(append(plotter.XYs{{X: points[0].X}}, points...))
	if err != nil {
		return nil, err
	}
	line.StepStyle = plotter.PreStep
	dots, err := plotter.NewScatter(points)
	if err != nil {
		return nil, err
	}
	dots.Shape = draw.CircleGlyph{}
	p := plot.New()
	p.Title.Text = b.headline() + "\n" + b.price()
	p.X.Label.Text = "outage: fault to first committed write, ms"
	p.Y.Label.Text = "% of runs"
	p.Add(plotter.NewGrid(), line, dots)
	p.X.Min, p.X.Max = 0, math.Ceil(points[len(points)-1].X*1.05)
	p.Y.Min, p.Y.Max = 0, 100
	return p, nil
}

// shares are the points of the cumulative distribution in percent; values must not be empty.
func shares(values []float64) plotter.XYs {
	sorted := slices.Sorted(slices.Values(values))
	points := make(plotter.XYs, len(sorted))
	for i, v := range sorted {
		points[i] = plotter.XY{X: v, Y: 100 * float64(i+1) / float64(len(sorted))}
	}
	return points
}
