//go:build linux

package fence

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/arbiter-ha/arbiter/failover"
	"github.com/arbiter-ha/arbiter/internal/fencesettings"
)

const (
	// answersLimit is how long one look at whether a fenced member still answers may take.
	answersLimit = time.Second
	// answersLooks is how many looks in a row must find it answering, with answersPause between them.
	answersLooks = 3
	answersPause = 50 * time.Millisecond
)

// Answers looks whether a member still answers, so that what its devices claim of it isn't so, and says how it was seen. It is asked after
// the devices said off, so a look must be a new one, through a new connection. It has a second; what it can't tell is no answer. It is on the
// way to a promotion, and a machine that is off leaves every packet unanswered: so it should wait no longer than a live member on this
// network could possibly take.
type Answers func(ctx context.Context, claimed failover.ProofGrade) (answers bool, detail string)

// AnswersAt looks by opening TCP connections to an address, host:port, and waits at most this long. A refusal is an answer to the claim that
// the machine is off: only a kernel that runs refuses, and what is left of a service without its listener may still write. It is none where
// the machine is claimed to be isolated, which may run; nor from an address of this arbiter's own machine, whose kernel always refuses.
func AnswersAt(address string, wait time.Duration) Answers { return answersAt(address, wait, isLocal) }

func answersAt(address string, wait time.Duration, local func(netip.Addr) bool) Answers {
	return func(ctx context.Context, claimed failover.ProofGrade) (bool, string) {
		ctx, end := context.WithTimeout(ctx, wait)
		defer end()
		knocks, err := knockAt(ctx, address)
		if err != nil {
			return false, fencesettings.OneLine(err.Error(), detailLimit)
		}
		return contradict(knocks, address, claimed, local)
	}
}

// contradict says whether any of the knocks at the addresses of one member contradicts what is claimed of it.
func contradict(knocks []knock, address string, claimed failover.ProofGrade, local func(netip.Addr) bool) (bool, string) {
	refused := func(k knock) bool { return errors.Is(k.err, syscall.ECONNREFUSED) && !local(k.at) }
	switch {
	case slices.ContainsFunc(knocks, func(k knock) bool { return k.err == nil }):
		return true, "it accepts connections at " + address
	case claimed == failover.ProofConfirmedOff && slices.ContainsFunc(knocks, refused):
		return true, "its address " + address + " refuses connections, so its machine runs, and what is left of the service may still write"
	}
	return false, fencesettings.OneLine(knocks[0].err.Error(), detailLimit)
}

// knock is one try to connect to one address.
type knock struct {
	at  netip.Addr
	err error // nil: it was let in
}

// knockAt tries all addresses of a name at the same time: one that is silent must not hide another one that answers. There is at least one
// knock if there is no error.
func knockAt(ctx context.Context, address string) ([]knock, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, fmt.Errorf("address of the member: %w", err)
	}
	found, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err == nil && len(found) == 0 {
		err = fmt.Errorf("%s has no address", host)
	}
	if err != nil {
		return nil, fmt.Errorf("find the member: %w", err)
	}
	knocks := make([]knock, len(found))
	var all sync.WaitGroup
	for i, at := range found {
		all.Go(func() {
			var dialer net.Dialer
			connection, err := dialer.DialContext(ctx, "tcp", net.JoinHostPort(at.Unmap().String(), port))
			if err == nil {
				connection.Close()
			}
			knocks[i] = knock{at: at.Unmap(), err: err}
		})
	}
	all.Wait()
	return knocks, nil
}

// isLocal says whether an address is one of this machine's own.
func isLocal(address netip.Addr) bool {
	if address.IsLoopback() {
		return true
	}
	own, err := net.InterfaceAddrs()
	return err == nil && slices.ContainsFunc(own, func(a net.Addr) bool {
		network, is := a.(*net.IPNet)
		return is && network.IP.Equal(address.AsSlice())
	})
}
