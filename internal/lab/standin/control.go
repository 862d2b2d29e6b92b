package standin

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/arbiter-ha/arbiter/internal/serviceapi"
)

// control is what belongs to one member alone and is not replicated.
type control struct {
	Role     serviceapi.Role  `json:"role"`
	Timeline uint32           `json:"timeline,omitempty"` // of a primary: the one that it began, or is about to begin
	Epoch    uint64           `json:"epoch"`              // the token
	Primary  *serviceapi.Peer `json:"primary,omitempty"`  // of a standby: whom it follows
	As       string           `json:"as,omitempty"`       // the name under which it does
}

func controlFile(dir string) string { return filepath.Join(dir, "control.json") }

// readControl returns the zero value, which has no role, where there is no file yet.
func readControl(dir string) (control, error) {
	var c control
	text, err := os.ReadFile(controlFile(dir))
	if errors.Is(err, fs.ErrNotExist) {
		return c, nil
	}
	if err == nil {
		err = json.Unmarshal(text, &c)
	}
	if err != nil {
		return c, fmt.Errorf("read control file: %w", err)
	}
	return c, nil
}

// write puts the file on disk: the new one whole, or the old one as it was.
func (c control) write(dir string) error {
	text, err := json.Marshal(c)
	if err != nil {
		return fmt.Errorf("encode control file: %w", err)
	}
	next := controlFile(dir) + ".next"
	if err := writeSynced(next, text); err != nil {
		return fmt.Errorf("write control file: %w", err)
	}
	if err := os.Rename(next, controlFile(dir)); err != nil {
		return fmt.Errorf("write control file: %w", err)
	}
	return syncDir(dir)
}

func writeSynced(path string, text []byte) error {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	if _, err = file.Write(text); err == nil {
		err = file.Sync()
	}
	return errors.Join(err, file.Close())
}

func syncDir(dir string) error {
	file, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("sync directory: %w", err)
	}
	if err := errors.Join(file.Sync(), file.Close()); err != nil {
		return fmt.Errorf("sync directory: %w", err)
	}
	return nil
}
