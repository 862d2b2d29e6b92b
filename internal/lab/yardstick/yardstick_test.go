package yardstick

import (
	"os"
	"path/filepath"
	"testing"
)

func TestMeasure(t *testing.T) {
	directory := t.TempDir()
	machine, err := Measure(directory)
	if err != nil {
		t.Fatal(err)
	}
	if machine.HashMBPerSecond <= 0 || machine.WakeUpUS <= 0 || machine.SyncedWriteUS <= 0 {
		t.Errorf("Measure() = %+v, want all of it above 0", machine)
	}
	left, err := os.ReadDir(directory)
	if err != nil || len(left) != 0 {
		t.Errorf("left in the directory: %v, %v; want nothing", left, err)
	}
}

func TestMeasure_NamesTheDirectoryItCannotWriteTo(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "missing")
	if _, err := Measure(missing); err == nil {
		t.Error("Measure() in a directory that is not there = nil, want an error")
	}
}
