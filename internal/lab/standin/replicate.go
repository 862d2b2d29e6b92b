package standin

import (
	"bufio"
	"cmp"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"sync"

	"github.com/arbiter-ha/arbiter/internal/serviceapi"
)

// downstream is one standby that this primary serves.
type downstream struct {
	name string
	held uint64 // on its disk
}

// chunk bounds what is read of the log at a time, in bytes.
const chunk = 256 << 10

// serveReplicate hands the connection over to replication: the log from a position on in one direction, the positions
// that are on the standby's disk (eight bytes each) in the other.
func (s *service) serveReplicate(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	from, fromErr := strconv.ParseUint(q.Get("from"), 10, 64)
	timeline, timelineErr := strconv.ParseUint(q.Get("timeline"), 10, 32)
	held := s.journal.summary()
	switch {
	case fromErr != nil || timelineErr != nil:
		answer(w, nil, refuse(serviceapi.CodeBadOrder, "from and timeline are numbers"))
		return
	case s.role() != serviceapi.RolePrimary:
		answer(w, nil, refuse(serviceapi.CodeNotPrimary, ""))
		return
	case q.Get("system") != "" && q.Get("system") != held.system:
		answer(w, nil, refuse(serviceapi.CodeWrongSystem, "its identifier is "+held.system))
		return
	}
	if why := held.diverged(from, uint32(timeline)); why != "" {
		answer(w, nil, refuse("diverged", why))
		return
	}
	hijacker, can := w.(http.Hijacker)
	if !can {
		answer(w, nil, refuse(serviceapi.CodeBadOrder, "this connection can't be taken over"))
		return
	}
	conn, buffered, err := hijacker.Hijack()
	if err != nil {
		return // the connection is lost
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: standin\r\n\r\n"); err != nil {
		return
	}
	s.serve(conn, buffered.Reader, &downstream{name: q.Get("name"), held: from})
}

// serve streams until the connection ends.
func (s *service) serve(conn io.ReadWriteCloser, acks io.Reader, d *downstream) {
	ctx, cancel := context.WithCancel(context.Background())
	from := d.held
	s.mu.Lock()
	s.standbys[d] = true
	s.mu.Unlock()
	var work sync.WaitGroup
	work.Go(func() {
		defer cancel()
		s.readAcks(acks, d)
	})
	s.stream(ctx, conn, from)
	_ = conn.Close() // ends readAcks
	work.Wait()
	s.mu.Lock()
	delete(s.standbys, d)
	s.mu.Unlock()
}

func (s *service) stream(ctx context.Context, conn io.Writer, at uint64) {
	buffer := make([]byte, chunk)
	for {
		end, news := s.journal.look()
		if at == end {
			select {
			case <-news:
				continue
			case <-ctx.Done():
				return
			}
		}
		n := min(end-at, chunk)
		if _, err := s.journal.file.ReadAt(buffer[:n], int64(at)); err != nil {
			return
		}
		if _, err := conn.Write(buffer[:n]); err != nil {
			return
		}
		at += n
	}
}

func (s *service) readAcks(from io.Reader, d *downstream) {
	var position [8]byte
	for {
		if _, err := io.ReadFull(from, position[:]); err != nil {
			return
		}
		s.mu.Lock()
		d.held = binary.BigEndian.Uint64(position[:])
		close(s.acks)
		s.acks = make(chan struct{})
		s.mu.Unlock()
	}
}

// awaitStandbys waits until as many standbys as the rule asks for have everything up to end on disk.
func (s *service) awaitStandbys(ctx context.Context, end uint64) error {
	for {
		s.mu.Lock()
		enough, acks := s.haveUpTo(end) >= s.options.Sync.Need, s.acks
		s.mu.Unlock()
		if enough {
			return nil
		}
		select {
		case <-acks:
		case <-ctx.Done():
			return fmt.Errorf("wait for standbys: %w", context.Cause(ctx))
		}
	}
}

// haveUpTo counts the named standbys that have everything up to end. The caller holds the lock.
func (s *service) haveUpTo(end uint64) int {
	names := map[string]bool{}
	for d := range s.standbys {
		if d.held >= end && slices.Contains(s.options.Sync.Names, d.name) {
			names[d.name] = true
		}
	}
	return len(names)
}

// listStandbys names who is connected. The caller holds the lock.
func (s *service) listStandbys() []serviceapi.Standby {
	var list []serviceapi.Standby
	for d := range s.standbys {
		list = append(list, serviceapi.Standby{
			Name: d.name, Streaming: true, Sync: s.options.Sync.Need > 0 && slices.Contains(s.options.Sync.Names, d.name),
		})
	}
	slices.SortFunc(list, func(a, b serviceapi.Standby) int { return cmp.Compare(a.Name, b.Name) })
	return list
}

// readBatch reads one record, and those after it that have arrived.
func readBatch(from *bufio.Reader) (raw []byte, records []record, sizes []int, err error) {
	for {
		one, r, err := readRecord(from)
		if err != nil {
			return nil, nil, nil, err
		}
		raw, records, sizes = append(raw, one...), append(records, r), append(sizes, len(one))
		if !wholeRecordIn(from) || len(raw) >= chunk {
			return raw, records, sizes, nil
		}
	}
}

// wholeRecordIn says whether the next record can be read without waiting.
func wholeRecordIn(from *bufio.Reader) bool {
	if from.Buffered() < headerSize {
		return false
	}
	header, err := from.Peek(headerSize)
	return err == nil && from.Buffered() >= headerSize+int(binary.BigEndian.Uint32(header))
}
