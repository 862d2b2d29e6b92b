package report

import (
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gonum.org/v1/plot/plotter"
)

func TestPlotIsWellFormedSVG(t *testing.T) {
	path := filepath.Join(t.TempDir(), "outage.svg")
	if err := sample().WritePlot(path); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	decoder, words := xml.NewDecoder(strings.NewReader(string(text))), ""
	for {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if data, is := token.(xml.CharData); is {
			words += string(data)
		}
	}
	for _, want := range []string{"crash, 2 runs", "first committed write, ms", "% of runs"} {
		if !strings.Contains(words, want) {
			t.Errorf("no %q in the picture", want)
		}
	}
}

func TestPlotRefusesNothingAndUnwritablePlaces(t *testing.T) {
	if err := New("crash").WritePlot(filepath.Join(t.TempDir(), "a.svg")); !errors.Is(err, ErrNothingMeasured) {
		t.Errorf("no runs: %v", err)
	}
	if err := sample().WritePlot(filepath.Join(t.TempDir(), "no", "such.svg")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no directory: %v", err)
	}
}

func TestShares(t *testing.T) {
	want := plotter.XYs{{X: 1, Y: 25}, {X: 2, Y: 50}, {X: 2, Y: 75}, {X: 9, Y: 100}}
	if got := shares([]float64{2, 9, 1, 2}); !slices.Equal(got, want) {
		t.Errorf("%v", got)
	}
}
