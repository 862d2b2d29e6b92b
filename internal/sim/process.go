package sim

import "time"

// process is one program on one machine. What is to happen in it waits while it is frozen, and never happens once it has died.
type process struct {
	sim     *sim
	alive   bool
	life    int // counts starts
	frozen  int // how many faults freeze it
	backlog []func()
}

// runs says whether it does anything at present.
func (p *process) runs() bool { return p.alive && p.frozen == 0 }

// post runs something in this life of the process, after a time.
func (p *process) post(d time.Duration, run func()) {
	life := p.life
	p.sim.after(d, func() {
		if p.life == life {
			p.enter(run)
		}
	})
}

// enter runs something in whatever life the process is in.
func (p *process) enter(run func()) {
	switch {
	case !p.alive:
	case p.frozen > 0:
		p.backlog = append(p.backlog, run)
	default:
		run()
	}
}

func (p *process) freeze() { p.frozen++ }

// wake lets go on, in order, what has waited.
func (p *process) wake() {
	if p.frozen--; p.frozen > 0 || !p.alive {
		return
	}
	backlog := p.backlog
	p.backlog = nil
	for i, run := range backlog {
		p.post(time.Duration(i)*20*time.Microsecond, run)
	}
}

func (p *process) die() {
	p.alive, p.backlog = false, nil
	p.life++
}

func (p *process) born() {
	p.alive = true
	p.life++
}
