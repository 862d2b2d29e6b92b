package arbiter

import (
	"errors"
	"fmt"

	"github.com/hashicorp/raft"
)

// bootstrapStorage writes the first entry of a cluster, its configuration, to an empty storage. All nodes of the cluster
// write the same one. A storage that is not empty is left as it is: a predecessor died after it wrote.
func bootstrapStorage(storage *Storage, id raft.ServerID, configuration raft.Configuration) error {
	config := raft.DefaultConfig()
	config.LocalID = id
	err := raft.BootstrapCluster(config, storage.Log, storage.Stable, storage.Snapshots, nil, configuration)
	if err != nil && !errors.Is(err, raft.ErrCantBootstrap) {
		return fmt.Errorf("bootstrap: %w", storageError(storage.Path, err))
	}
	return nil
}
