package virtual

import (
	"context"
	"testing"
)

// An arbiter is killed while its disk hangs. The writes that hung are made in this process later, and are lost all the same: nobody was told
// of them, and the next run begins without them.
func TestKill_WhatTheDeadStillWritesIsLost(t *testing.T) {
	Run(t, func(t *testing.T) {
		c := New(t, 3, 1)
		leader := c.Leader()
		node := c.Nodes()[0]
		if node == leader {
			node = c.Nodes()[1]
		}
		goOn := c.HangDisk(node)
		dead := c.runs[node]
		before, _ := dead.disk.LastIndex() // it has no way to fail
		c.Protect()                        // by the two others
		c.Kill(node, false)
		goOn()
		c.Eventually("what hung is written", func(context.Context) bool {
			after, _ := dead.disk.LastIndex()
			return after > before
		})
		if left, _ := dead.left.LastIndex(); left != before {
			t.Errorf("it died with its log written up to %d, and left it up to %d", before, left)
		}
		c.Start(node)
		if c.runs[node].disk != dead.left {
			t.Error("the next run has another disk than was left")
		}
		c.Eventually("it has what it missed", func(context.Context) bool {
			last, _ := c.runs[node].disk.LastIndex()
			return last > before
		})
		if breaches := c.History.Breaches(); len(breaches) > 0 {
			t.Errorf("%q\n%s", breaches, c.History)
		}
	})
}
