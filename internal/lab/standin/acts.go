package standin

import (
	"errors"
	"syscall"
	"time"

	"github.com/arbiter-ha/arbiter/internal/serviceapi"
)

// act is one verb of the contract that an epoch stands behind.
type act func(s *service, o serviceapi.Order) error

// acts are the verbs with an epoch. It is a table that never changes.
var acts = map[serviceapi.Verb]act{
	serviceapi.VerbToken:   (*service).raise,
	serviceapi.VerbStop:    (*service).stop,
	serviceapi.VerbFollow:  (*service).follow,
	serviceapi.VerbPromote: (*service).promote,
	serviceapi.VerbRow:     (*service).writeRow,
	serviceapi.VerbProof:   (*service).writeProof,
}

func refuse(code serviceapi.Code, detail string) error {
	return &serviceapi.Refusal{Code: code, Detail: detail}
}

// admit refuses an order for another system, and one under an epoch that is older than the token (S9).
func (s *service) admit(o serviceapi.Order) error {
	if o.Epoch == 0 {
		return refuse(serviceapi.CodeBadOrder, "epoch is missing")
	}
	if system := s.journal.summary().system; o.SystemID != "" && system != o.SystemID {
		return refuse(serviceapi.CodeWrongSystem, "its identifier is "+system)
	}
	if token := s.token(); token > o.Epoch {
		return &serviceapi.Refusal{Code: serviceapi.CodeNewerEpoch, Epoch: token}
	}
	return nil
}

func (s *service) token() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.control.Epoch
}

// change puts a changed control file on disk and then into force. The caller acts alone.
func (s *service) change(edit func(*control)) error {
	s.mu.Lock()
	c := s.control
	s.mu.Unlock()
	before := c
	edit(&c)
	if c == before {
		return nil
	}
	if err := c.write(s.options.Dir); err != nil {
		return err
	}
	s.mu.Lock()
	s.control = c
	s.mu.Unlock()
	return nil
}

// raise makes the order's epoch the token; it is not older, since admit has looked.
func (s *service) raise(o serviceapi.Order) error {
	return s.change(func(c *control) { c.Epoch = o.Epoch })
}

func (s *service) stop(o serviceapi.Order) error {
	if s.role() != serviceapi.RoleStandby {
		return refuse(serviceapi.CodeNotStandby, "")
	}
	if err := s.change(func(c *control) { c.Epoch, c.Primary = o.Epoch, nil }); err != nil {
		return err
	}
	s.stopFollowing()
	return nil
}

func (s *service) follow(o serviceapi.Order) error {
	if s.role() != serviceapi.RoleStandby {
		return refuse(serviceapi.CodeNotStandby, "")
	}
	if o.Primary == nil || o.Primary.Address == "" {
		return refuse(serviceapi.CodeBadOrder, "primary is missing")
	}
	as := o.As
	if as == "" {
		as = s.options.Name
	}
	s.mu.Lock()
	same := s.follower != nil && s.follower.from == o.Primary.Address && s.control.As == as
	s.mu.Unlock()
	if same {
		return s.raise(o)
	}
	if err := s.change(func(c *control) { c.Epoch, c.Primary, c.As = o.Epoch, o.Primary, as }); err != nil {
		return err
	}
	s.stopFollowing()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.startFollowing(s.control)
	return nil
}

// promote makes a standby primary, if the token is the order's epoch. A primary stays as it is.
func (s *service) promote(o serviceapi.Order) error {
	if s.token() != o.Epoch {
		return &serviceapi.Refusal{Code: serviceapi.CodeOlderToken, Epoch: s.token(), Detail: "raise the token before"}
	}
	if s.role() == serviceapi.RolePrimary {
		return nil
	}
	s.stopFollowing()
	held := s.journal.summary()
	if held.system == "" {
		return refuse(serviceapi.CodeBadOrder, "it has never received anything and can't be primary")
	}
	// The control file first: a crash between the two is made good by begin.
	c := s.controlled()
	c.Role, c.Timeline, c.Primary = serviceapi.RolePrimary, held.timeline().timeline+1, nil
	if err := c.write(s.options.Dir); err != nil {
		return err
	}
	if err := s.beginTimeline(c.Timeline); err != nil {
		s.fatal(err) // half promoted: a restart ends it
		return err
	}
	s.mu.Lock()
	s.control = c
	s.mu.Unlock()
	return nil
}

func (s *service) controlled() control {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.control
}

func (s *service) writeRow(o serviceapi.Order) error {
	if s.role() != serviceapi.RolePrimary {
		return refuse(serviceapi.CodeNotPrimary, "")
	}
	held := s.journal.summary()
	if held.row != nil && held.row.Epoch > o.Epoch {
		return &serviceapi.Refusal{Code: serviceapi.CodeNewerEpoch, Epoch: held.row.Epoch, Detail: "the epoch row is newer"}
	}
	if err := s.raise(o); err != nil {
		return err
	}
	_, err := s.write(record{Row: &serviceapi.Row{
		Epoch: o.Epoch, Member: o.Member, Operation: o.Operation, Position: held.timeline().position,
	}})
	return err
}

func (s *service) writeProof(o serviceapi.Order) error {
	if s.role() != serviceapi.RolePrimary {
		return refuse(serviceapi.CodeNotPrimary, "")
	}
	row := s.journal.summary().row
	if row == nil || row.Epoch != o.Epoch || row.Member != o.Member {
		return refuse(serviceapi.CodeOtherRow, "")
	}
	_, err := s.write(record{Proof: &o})
	return err
}

// beat is a probe's write that has begun.
type beat struct{ began time.Time }

// prober is who probes, and at which of the members.
type prober struct{ arbiter, address string }

// probe commits a small write for an arbiter, never two at a time for the same one at the same member.
func (s *service) probe(by prober) error {
	s.mu.Lock()
	earlier, busy := s.beats[by]
	primary := s.control.Role == serviceapi.RolePrimary
	if !busy && primary {
		s.beats[by] = beat{began: time.Now()}
	}
	s.mu.Unlock()
	switch {
	case !primary:
		return refuse(serviceapi.CodeNotPrimary, "")
	case busy:
		return &serviceapi.Refusal{Code: serviceapi.CodeWriteUnderWay, AgeMS: time.Since(earlier.began).Milliseconds()}
	}
	_, err := s.write(record{Beat: by.arbiter})
	s.mu.Lock()
	delete(s.beats, by)
	s.mu.Unlock()
	return err
}

// asRefusal says what an error is to whoever asked.
func asRefusal(err error) *serviceapi.Refusal {
	var r *serviceapi.Refusal
	switch {
	case errors.As(err, &r):
		return r
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return &serviceapi.Refusal{Code: serviceapi.CodeDiskFull, Detail: err.Error()}
	}
	return &serviceapi.Refusal{Code: "failed", Detail: err.Error()}
}
