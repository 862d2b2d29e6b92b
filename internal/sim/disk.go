package sim

import "time"

// disk is where one arbiter keeps its log and its votes. Writes are done in order. What was not written when the process died is lost.
type disk struct {
	node    *node
	stalled int // how many faults stall it
	full    bool
	slow    time.Duration
	queue   []func()
	busy    bool
}

func (d *disk) write(done func()) {
	d.queue = append(d.queue, done)
	d.next()
}

func (d *disk) next() {
	if d.busy || d.stalled > 0 || len(d.queue) == 0 {
		return
	}
	if d.full { // the storage says so, and the program ends: a server that can't write must not go on
		d.node.halt("its disk is full")
		return
	}
	d.busy = true
	d.node.post(d.slow+d.node.dice.between(200*time.Microsecond, 1500*time.Microsecond), func() {
		d.busy = false
		done := d.queue[0]
		d.queue = d.queue[1:]
		done()
		d.next()
	})
}

func (d *disk) unstall() {
	if d.stalled--; d.stalled == 0 && d.node.alive {
		d.next()
	}
}

// forget is what a process that dies does with its writes.
func (d *disk) forget() { d.queue, d.busy = nil, false }
