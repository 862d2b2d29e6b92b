package recording

import (
	"fmt"
	"os"

	"github.com/arbiter-ha/arbiter/failover"
)

// Suffix ends the name of every recording.
const Suffix = ".recording"

// Create makes the file of a new recording in a folder, which is made if it is not there. Every life of a process has one of its own.
func Create(folder string, node failover.NodeID) (*os.File, error) {
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, fmt.Errorf("make the folder of recordings: %w", err)
	}
	file, err := os.CreateTemp(folder, string(node)+"-*"+Suffix)
	if err != nil {
		return nil, fmt.Errorf("make a recording: %w", err)
	}
	return file, nil
}

// ReplayFile is Replay of a file.
func ReplayFile(path string) (Replayed, error) {
	file, err := os.Open(path)
	if err != nil {
		return Replayed{Ending: EndedCut}, fmt.Errorf("open the recording: %w", err)
	}
	defer file.Close()
	return Replay(file)
}
