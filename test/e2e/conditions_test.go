package e2e

import arbiterv1 "github.com/arbiter-ha/arbiter/proto/arbiter/v1"

// steady is a group with nothing in progress.
func steady(g *arbiterv1.GroupStatus) bool { return g.GetStage() == "steady" && g.GetOperation() == nil }
