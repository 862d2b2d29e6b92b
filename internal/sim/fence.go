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

// asking is one call of a device. Its answer counts once, and not after its time limit.
type asking struct {
	*fencing
	device   *device
	takes    time.Duration
	answered bool
	then     func(off bool, why string)
}

// device asks one device, which may be out of reach or have its own mind.
func (f *fencing) device(level int, then func(off bool, why string)) {
	n, s := f.run.node, f.run.node.sim
	a := &asking{fencing: f, device: s.device(f.member.host, level), then: then}
	if !f.only && !f.run.mayAct() {
		f.unproven("the lease has run out")
		return
	}
	a.answer(deviceTimeout, false, "time limit")
	if !s.net.bothWays(string(n.id), bmc(f.member.host)) {
		return
	}
	a.takes = s.worldDice.between(30*time.Millisecond, 300*time.Millisecond)
	if a.device.mode == slow {
		a.takes = s.worldDice.between(500*time.Millisecond, 6*time.Second)
	}
	a.byItsMode()
}

// answer has the device answer after a time.
func (a *asking) answer(after time.Duration, off bool, why string) {
	a.post(after, func() (bool, string) { return off, why })
}

// post has the device answer after a time, by what is so then.
func (a *asking) post(after time.Duration, read func() (off bool, why string)) {
	a.run.node.post(after, func() {
		if !a.answered && !a.run.over() {
			a.answered = true
			a.then(read())
		}
	})
}

// byItsMode does what the device does.
func (a *asking) byItsMode() {
	s, h := a.run.node.sim, a.device.host
	switch mode := a.device.mode; {
	case mode == failing:
		a.answer(a.takes, false, "the device reports an error")
	case mode == hanging:
		if !a.only && s.worldDice.chance(50) {
			s.after(a.takes, func() { s.fenceOff(a.device, a.run) })
		}
	case mode == lying:
		a.post(a.takes, func() (bool, string) {
			if h.powered {
				s.lied(h)
			} else { // true by chance; that it stays so is assumed
				h.fenced = true
			}
			return true, "it says off"
		})
	case a.only:
		a.post(a.takes, func() (bool, string) { // the device reads the power when it answers
			if !h.powered { // so it is proven off, whoever switched it off: that it stays so is assumed
				h.fenced = true
			}
			return !h.powered, "read back"
		})
	default:
		s.after(a.takes, func() { // also if the one who asked has given up meanwhile
			s.fenceOff(a.device, a.run)
			a.answer(s.worldDice.between(5*time.Millisecond, 50*time.Millisecond), true, "off, read back off")
		})
	}
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
