package sim

import (
	"time"

	"github.com/arbiter-ha/arbiter/failover"
)

// deviceMode is how a fence device behaves.
type deviceMode string

// The modes. Lying is about power alone: it says off, and that it reads off, and does nothing.
const (
	honest  deviceMode = ""
	slow    deviceMode = "slow"
	hanging deviceMode = "hanging"
	failing deviceMode = "failing"
	lying   deviceMode = "lying"
)

// device is one fence device of one machine.
type device struct {
	host *host
	mode deviceMode
}

// fencing is one try of an action to isolate: the levels of devices in order, and a look at whether the member still answers.
type fencing struct {
	run    *actionRun
	member *member
	levels int
	grade  failover.ProofGrade
	only   bool // read back
	done   func(failover.Proof)
}

// unproven is the end of a try without proof.
func (f *fencing) unproven(why string) {
	f.done(failover.Proof{Grade: failover.ProofUnknown, Detail: why})
}

// level tries one level, and the next one after it.
func (f *fencing) level(i int) {
	if i >= f.levels {
		f.unproven("no level gave a proof")
		return
	}
	f.device(i, func(off bool, why string) {
		if !off {
			f.level(i + 1)
			return
		}
		f.silent(func(answers bool) {
			if answers {
				f.level(i + 1)
				return
			}
			f.done(failover.Proof{Grade: f.grade, By: "fence_sim " + f.member.host.name, Detail: why})
		})
	})
}

// device asks one device, which may be out of reach or have its own mind.
func (f *fencing) device(level int, then func(off bool, why string)) {
	n, s := f.run.node, f.run.node.sim
	d := s.device(f.member.host, level)
	if !f.only && !f.run.mayAct() {
		f.unproven("the lease has run out")
		return
	}
	timeout := deviceTimeout
	answered := false
	answer := func(after time.Duration, off bool, why string) {
		n.post(after, func() {
			if !answered && !f.run.over() {
				answered = true
				then(off, why)
			}
		})
	}
	answer(timeout, false, "time limit")
	if !s.net.bothWays(string(n.id), bmc(f.member.host)) {
		return
	}
	takes := s.worldDice.between(30*time.Millisecond, 300*time.Millisecond)
	switch d.mode {
	case slow:
		takes = s.worldDice.between(500*time.Millisecond, 6*time.Second)
	case failing:
		answer(takes, false, "the device reports an error")
		return
	case hanging:
		if !f.only && s.worldDice.chance(50) {
			s.after(takes, func() { s.fenceOff(d, f.run) })
		}
		return
	case lying:
		n.post(takes, func() {
			if !answered && !f.run.over() {
				answered = true
				if f.member.host.powered {
					s.lied(f.member.host)
				} else { // true by chance; that it stays so is assumed
					f.member.host.fenced = true
				}
				then(true, "it says off")
			}
		})
		return
	}
	if f.only {
		n.post(takes, func() { // the device reads the power when it answers
			if !answered && !f.run.over() {
				answered = true
				if !d.host.powered { // so it is proven off, whoever switched it off: that it stays so is assumed
					d.host.fenced = true
				}
				then(!d.host.powered, "read back")
			}
		})
		return
	}
	s.after(takes, func() { // also if the one who asked has given up meanwhile
		s.fenceOff(d, f.run)
		answer(s.worldDice.between(5*time.Millisecond, 50*time.Millisecond), true, "off, read back off")
	})
}

// silent looks whether the member still answers: it accepts connections, or its kernel refuses them, which one that is off doesn't do.
func (f *fencing) silent(then func(answers bool)) {
	n := f.run.node
	m := f.member
	n.post(n.dice.between(time.Millisecond, 50*time.Millisecond), func() {
		if !f.run.over() {
			contradicts := m.state == running || f.grade == failover.ProofConfirmedOff
			then(m.host.powered && contradicts && n.sim.net.bothWays(string(n.id), m.host.name))
		}
	})
}

const deviceTimeout = 2 * time.Second

// bmc is where the devices of a machine are reached.
func bmc(h *host) string { return "bmc-" + h.name }

// fenceOff switches a machine off.
func (s *sim) fenceOff(d *device, run *actionRun) {
	if !d.host.powered {
		d.host.fenced = true
		return
	}
	s.note("the device switches %s off, for %s epoch %d", d.host.name, run.action.Group, run.action.Epoch)
	s.counts.fences++
	d.host.fenced = true
	s.powerOff(d.host)
}
