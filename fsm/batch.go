package fsm

import (
	"github.com/arbiter-ha/arbiter/failover"
	arbiterv1 "github.com/arbiter-ha/arbiter/proto/arbiter/v1"
)

// BatchToProto writes a batch of observations for the stream to the leader.
func BatchToProto(b failover.Batch) *arbiterv1.Batch {
	var f faults // a batch of this process has nothing that can't be written
	return f.wireBatch(b)
}

// BatchFromProto reads what BatchToProto wrote. The error names the field that has no meaning here.
func BatchFromProto(b *arbiterv1.Batch) (failover.Batch, error) {
	var f faults
	batch := f.batch(b)
	return batch, f.first
}
