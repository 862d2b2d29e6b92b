package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/arbiter-ha/arbiter/internal/recording"
)

func TestRun(t *testing.T) {
	folder := t.TempDir()
	reportTo := filepath.Join(folder, "report.json")
	var out bytes.Buffer
	if err := run(&out, nil, ""); !errors.Is(err, errUsage) {
		t.Errorf("without a folder: %v", err)
	}
	if err := run(&out, []string{folder}, reportTo); err == nil || !strings.Contains(err.Error(), "holds no recording") {
		t.Errorf("an empty folder: %v", err)
	}
	write(t, folder, "a-1", "")
	if err := run(&out, []string{folder}, reportTo); !errors.Is(err, recording.ErrNothing) {
		t.Errorf("a recording of nothing: %v", err)
	}
	if r := read(t, reportTo); r.Kind != "replay" || len(r.Recordings) != 1 || r.Differing != 0 {
		t.Errorf("the report of nothing is %+v", r)
	}
	write(t, folder, "b-1", "{\"no such line\": 1}\n{}\n")
	if err := run(&out, []string{folder}, reportTo); !errors.Is(err, errDiffers) {
		t.Errorf("a recording that can't be read: %v", err)
	}
	if r := read(t, reportTo); r.Differing != 1 || r.Recordings[1].Error == "" || !strings.HasPrefix(r.Recordings[1].File, "b-1") {
		t.Errorf("its report is %+v", r)
	}
}

func write(t *testing.T, folder, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(folder, name+recording.Suffix), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, path string) (r report) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &r); err != nil {
		t.Fatal(err)
	}
	return r
}
