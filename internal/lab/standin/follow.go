package standin

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// follower copies a primary's log.
type follower struct {
	end  context.CancelFunc
	done chan struct{}
	from string // the primary's address

	streaming bool   // guarded by the service's lock, as is trouble
	trouble   string // why it doesn't stream
}

const (
	// followAgain is the pause after a connection that ended or was refused.
	followAgain = 50 * time.Millisecond
	// followPatience bounds connecting and the primary's first answer.
	followPatience = 2 * time.Second
)

// startFollowing begins to follow whom the control file names, if anybody. The caller holds the lock.
func (s *service) startFollowing(c control) {
	if c.Primary == nil {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	f := &follower{end: cancel, done: make(chan struct{}), from: c.Primary.Address}
	s.follower = f
	go func() {
		defer close(f.done)
		for ctx.Err() == nil {
			err := s.followOnce(ctx, f, c)
			s.noteFollowing(f, false, err.Error())
			select {
			case <-ctx.Done():
			case <-time.After(followAgain):
			}
		}
	}()
}

// stopFollowing returns when nothing will be received or acknowledged any more.
func (s *service) stopFollowing() {
	s.mu.Lock()
	f := s.follower
	s.mu.Unlock()
	if f == nil {
		return
	}
	f.end()
	<-f.done
	s.mu.Lock()
	if s.follower == f {
		s.follower = nil
	}
	s.mu.Unlock()
}

func (s *service) noteFollowing(f *follower, streaming bool, trouble string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f.streaming, f.trouble = streaming, trouble
}

// followOnce follows over one connection, until that ends.
func (s *service) followOnce(ctx context.Context, f *follower, c control) error {
	dialer := net.Dialer{Timeout: followPatience, KeepAliveConfig: net.KeepAliveConfig{
		Enable: true, Idle: 5 * time.Second, Interval: 5 * time.Second, Count: 3,
	}}
	conn, err := dialer.DialContext(ctx, "tcp", c.Primary.Address)
	if err != nil {
		return err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	reader := bufio.NewReaderSize(conn, chunk)
	if err := s.ask(conn, reader, c); err != nil {
		return err
	}
	s.noteFollowing(f, true, "")
	for {
		raw, records, sizes, err := readBatch(reader)
		if err != nil {
			return fmt.Errorf("receive from %s: %w", c.Primary.Name, err)
		}
		end, err := s.journal.append(raw, records, sizes)
		if errors.Is(err, errDisk) {
			s.fatal(err)
		}
		if err != nil {
			return err
		}
		var position [8]byte
		binary.BigEndian.PutUint64(position[:], end)
		if _, err := conn.Write(position[:]); err != nil {
			return fmt.Errorf("acknowledge to %s: %w", c.Primary.Name, err)
		}
	}
}

// ask asks the primary for its log from the own end on.
func (s *service) ask(conn net.Conn, reader *bufio.Reader, c control) error {
	held := s.journal.summary()
	query := url.Values{
		"name": {c.As}, "from": {strconv.FormatUint(held.end, 10)}, "timeline": {strconv.FormatUint(uint64(held.timeline().timeline), 10)},
		"system": {held.system},
	}
	request, err := http.NewRequest(http.MethodGet, "http://"+c.Primary.Address+replicatePath+"?"+query.Encode(), http.NoBody)
	if err != nil {
		return fmt.Errorf("ask %s for its log: %w", c.Primary.Name, err)
	}
	request.Header.Set("Connection", "Upgrade")
	request.Header.Set("Upgrade", "standin")
	if err := conn.SetReadDeadline(time.Now().Add(followPatience)); err != nil {
		return fmt.Errorf("ask %s for its log: %w", c.Primary.Name, err)
	}
	if err := request.Write(conn); err != nil {
		return fmt.Errorf("ask %s for its log: %w", c.Primary.Name, err)
	}
	response, err := http.ReadResponse(reader, request)
	if err != nil {
		return fmt.Errorf("ask %s for its log: %w", c.Primary.Name, err)
	}
	if response.StatusCode != http.StatusSwitchingProtocols {
		text, _ := io.ReadAll(io.LimitReader(response.Body, largestBody)) // it is for people
		return fmt.Errorf("%s gives no log: %s", c.Primary.Name, text)
	}
	return conn.SetReadDeadline(time.Time{})
}
