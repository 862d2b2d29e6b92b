package arbiter

import (
	"errors"
	"fmt"

	"github.com/hashicorp/raft"
	raftboltdb "github.com/hashicorp/raft-boltdb/v2"
)

// clusterKey is our own entry in the stable store: the id of the cluster that the votes and the log beside it belong to.
// It is what tells a Raft log that is new from one that was lost.
const clusterKey = "ArbiterClusterID"

// clusterID reads the id of the cluster that a storage belongs to; empty if none.
func (s *Storage) clusterID() (string, error) {
	id, err := s.Stable.Get([]byte(clusterKey))
	if err != nil && !isKeyNotFound(err) {
		return "", storageError(s.Path, err)
	}
	return string(id), nil
}

// dedicate makes a storage belong to a cluster. It may be done again.
func (s *Storage) dedicate(clusterID string) error {
	had, err := s.clusterID()
	if err != nil {
		return err
	}
	if had != "" && had != clusterID {
		return fmt.Errorf("the Raft log in %s %w: %s, and not %s", s.Path, ErrOtherClusterID, had, clusterID)
	}
	if err := s.Stable.Set([]byte(clusterKey), []byte(clusterID)); err != nil {
		return storageError(s.Path, err)
	}
	return nil
}

// bootstrap writes the beginning of a cluster's log: term 1, and as its first entry the configuration. All arbiters write
// the same one. It does by itself what raft.BootstrapCluster does, since that refuses to go on where a predecessor died
// between two of the writes. A log that has begun is left as it is.
func (s *Storage) bootstrap(clusterID string, servers []raft.Server) error {
	if err := s.dedicate(clusterID); err != nil {
		return err
	}
	last, err := s.Log.LastIndex()
	if err != nil {
		return storageError(s.Path, err)
	}
	snapshots, err := s.Snapshots.List()
	if err != nil {
		return storageError(s.Path, err)
	}
	if last > 0 || len(snapshots) > 0 {
		return nil
	}
	term, err := s.Stable.GetUint64([]byte(currentTermKey))
	if err != nil && !isKeyNotFound(err) {
		return storageError(s.Path, err)
	}
	if term > 1 {
		return corrupt(s.Path, fmt.Errorf("the term is %d, and the log is empty", term))
	}
	if err := s.Stable.SetUint64([]byte(currentTermKey), 1); err != nil {
		return storageError(s.Path, err)
	}
	first := &raft.Log{Index: 1, Term: 1, Type: raft.LogConfiguration, Data: raft.EncodeConfiguration(raft.Configuration{Servers: servers})}
	if err := s.Log.StoreLog(first); err != nil {
		return storageError(s.Path, err)
	}
	return nil
}

// isKeyNotFound knows what the stores say when a key has never been set; Raft itself compares the text too.
func isKeyNotFound(err error) bool {
	return errors.Is(err, raftboltdb.ErrKeyNotFound) || err != nil && err.Error() == raftboltdb.ErrKeyNotFound.Error()
}
