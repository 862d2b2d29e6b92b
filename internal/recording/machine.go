package recording

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"

	"github.com/hashicorp/raft"

	"github.com/arbiter-ha/arbiter/failover"
	"github.com/arbiter-ha/arbiter/fsm"
)

// Around returns the state machine with everything recorded that Raft gives it. It is no raft.BatchingFSM, as the one inside is not.
func (r *Recorder) Around(inner *fsm.FSM) raft.ConfigurationStore { return &machine{inner, r} }

type machine struct {
	*fsm.FSM
	recorder *Recorder
}

// Apply records the entry first: whoever is told of the new state records that afterwards.
func (m *machine) Apply(log *raft.Log) any {
	m.recorder.write(line{Entry: &entry{Index: log.Index, Term: log.Term, Data: log.Data}}, nil)
	result := m.FSM.Apply(log)
	if response, ok := result.(*fsm.Response); ok {
		list, err := json.Marshal(response.Events)
		m.recorder.write(line{Events: &events{failover.Index(log.Index), list}}, err)
	}
	return result
}

func (m *machine) StoreConfiguration(index uint64, configuration raft.Configuration) {
	m.recorder.write(line{Entry: &entry{Index: index, Voters: &configuration}}, nil)
	m.FSM.StoreConfiguration(index, configuration)
}

func (m *machine) Restore(source io.ReadCloser) error {
	defer source.Close()
	data, err := io.ReadAll(source)
	if err != nil {
		return fmt.Errorf("read the snapshot to restore: %w", err)
	}
	m.recorder.write(line{Snapshot: &snapshot{data}}, nil)
	return m.FSM.Restore(io.NopCloser(bytes.NewReader(data)))
}
