package standin

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"maps"
	"os"
	"slices"
	"sync"

	"github.com/arbiter-ha/arbiter/internal/serviceapi"
)

// record is one entry of the log. Exactly one part is set.
type record struct {
	System   string            `json:"system,omitempty"`   // the first record: the system's identifier
	Timeline uint32            `json:"timeline,omitempty"` // a primary began to write
	Order    *order            `json:"order,omitempty"`
	Row      *serviceapi.Row   `json:"row,omitempty"`
	Proof    *serviceapi.Order `json:"proof,omitempty"`
	Beat     string            `json:"beat,omitempty"` // a probe's write, by whom
}

// order is what clients append.
type order struct {
	Writer string `json:"writer"`
	Number int64  `json:"number"`
}

// headerSize is that of a record: the length of its text and a checksum, four bytes each.
const headerSize = 8

// largestRecord bounds the text of a record, in bytes.
const largestRecord = 1 << 20

// errTorn says that a record is not whole, as after a crash in the middle of a write.
var errTorn = errors.New("record is not whole")

// beginning is where a timeline began.
type beginning struct {
	timeline uint32
	position uint64
}

// contents is what the log says up to its end.
type contents struct {
	end       uint64 // in bytes; everything before it is on disk
	system    string
	timelines []beginning
	row       *serviceapi.Row
	proofs    map[string]serviceapi.Proof
	orders    map[string][]int64 // by writer
}

func (c *contents) timeline() beginning {
	if len(c.timelines) == 0 {
		return beginning{}
	}
	return c.timelines[len(c.timelines)-1]
}

func (c *contents) apply(r record, size int) {
	switch {
	case r.System != "":
		c.system = r.System
	case r.Timeline != 0:
		c.timelines = append(c.timelines, beginning{timeline: r.Timeline, position: c.end})
	case r.Order != nil:
		c.orders[r.Order.Writer] = append(c.orders[r.Order.Writer], r.Order.Number)
	case r.Row != nil:
		c.row = r.Row
	case r.Proof != nil:
		c.proofs[r.Proof.Route] = serviceapi.Proof{Proof: r.Proof.Proof, Epoch: r.Proof.Epoch}
	}
	c.end += uint64(size)
}

// journal is the append-only file and what it says.
type journal struct {
	file *os.File

	writing sync.Mutex // held while the file is written and synced, which may hang with the disk

	gathering sync.Mutex
	gathered  *together // records that go to disk together when those before them are there; nil if there are none

	mu       sync.Mutex
	contents contents
	news     chan struct{} // closed and replaced when the end moves
}

// openJournal reads the file, and cuts off what a crash left of a record that was being written.
func openJournal(path string) (*journal, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open log: %w", err)
	}
	j := &journal{file: file, news: make(chan struct{})}
	j.contents = contents{proofs: map[string]serviceapi.Proof{}, orders: map[string][]int64{}}
	reader := bufio.NewReader(file)
	for {
		raw, r, err := readRecord(reader)
		if err == nil {
			j.contents.apply(r, len(raw))
			continue
		}
		if !errors.Is(err, io.EOF) && !errors.Is(err, errTorn) {
			return nil, errors.Join(fmt.Errorf("read log: %w", err), file.Close())
		}
		break
	}
	if err := file.Truncate(int64(j.contents.end)); err != nil {
		return nil, errors.Join(fmt.Errorf("cut log: %w", err), file.Close())
	}
	return j, nil
}

// readRecord reads one record; io.EOF means that there is none, errTorn that a part of it is missing or damaged.
func readRecord(from io.Reader) (raw []byte, r record, err error) {
	header := make([]byte, headerSize)
	if _, err := io.ReadFull(from, header); err != nil {
		if errors.Is(err, io.ErrUnexpectedEOF) {
			err = errTorn
		}
		return nil, r, err
	}
	size := binary.BigEndian.Uint32(header)
	if size == 0 || size > largestRecord {
		return nil, r, fmt.Errorf("%w: its length is %d", errTorn, size)
	}
	raw = append(header, make([]byte, size)...)
	if _, err := io.ReadFull(from, raw[headerSize:]); err != nil {
		return nil, r, fmt.Errorf("%w: %w", errTorn, err)
	}
	if crc32.ChecksumIEEE(raw[headerSize:]) != binary.BigEndian.Uint32(header[4:]) {
		return nil, r, fmt.Errorf("%w: its checksum is wrong", errTorn)
	}
	if err := json.Unmarshal(raw[headerSize:], &r); err != nil {
		return nil, r, fmt.Errorf("decode record: %w", err)
	}
	return raw, r, nil
}

func encode(r record) ([]byte, error) {
	text, err := json.Marshal(r)
	if err != nil {
		return nil, fmt.Errorf("encode record: %w", err)
	}
	raw := make([]byte, headerSize, headerSize+len(text))
	binary.BigEndian.PutUint32(raw, uint32(len(text)))
	binary.BigEndian.PutUint32(raw[4:], crc32.ChecksumIEEE(text))
	return append(raw, text...), nil
}

// together are records that share one sync, as in a database.
type together struct {
	raw     []byte
	records []record
	sizes   []int
	done    chan struct{} // closed when what follows is set
	end     uint64
	err     error
}

// write appends one record and returns an end of the log after it, when it is on disk.
func (j *journal) write(r record) (end uint64, err error) {
	raw, err := encode(r)
	if err != nil {
		return 0, err
	}
	j.gathering.Lock()
	t := j.gathered
	first := t == nil
	if first {
		t = &together{done: make(chan struct{})}
		j.gathered = t
	}
	t.raw, t.records, t.sizes = append(t.raw, raw...), append(t.records, r), append(t.sizes, len(raw))
	j.gathering.Unlock()
	if first {
		j.writeGathered(t)
	}
	<-t.done
	return t.end, t.err
}

// writeGathered writes what has come by the time that the file is free.
func (j *journal) writeGathered(t *together) {
	j.writing.Lock()
	defer j.writing.Unlock()
	j.gathering.Lock()
	j.gathered = nil
	j.gathering.Unlock()
	t.end, t.err = j.appendAlone(t.raw, t.records, t.sizes)
	close(t.done)
}

// append appends whole records. What could not be written is cut off again. An error of the sync is final, as for every
// database: what is on disk then is not known, and only reading it anew after a restart tells.
func (j *journal) append(raw []byte, records []record, sizes []int) (end uint64, err error) {
	j.writing.Lock()
	defer j.writing.Unlock()
	return j.appendAlone(raw, records, sizes)
}

// appendAlone is append for a caller who holds the lock.
func (j *journal) appendAlone(raw []byte, records []record, sizes []int) (end uint64, err error) {
	at := int64(j.end())
	if _, err := j.file.WriteAt(raw, at); err != nil {
		return 0, errors.Join(fmt.Errorf("write log: %w", err), j.file.Truncate(at))
	}
	if err := j.file.Sync(); err != nil {
		return 0, fmt.Errorf("%w: %w", errDisk, err)
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	for i, r := range records {
		j.contents.apply(r, sizes[i])
	}
	close(j.news)
	j.news = make(chan struct{})
	return j.contents.end, nil
}

// errDisk says that the disk failed to keep what was written: the service ends.
var errDisk = errors.New("the disk failed")

func (j *journal) end() uint64 {
	end, _ := j.look()
	return end
}

// look returns the end, and a channel that is closed when it has moved.
func (j *journal) look() (uint64, <-chan struct{}) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.contents.end, j.news
}

// summary is the contents without the orders.
func (j *journal) summary() contents {
	j.mu.Lock()
	defer j.mu.Unlock()
	c := j.contents
	c.timelines, c.proofs, c.orders = slices.Clone(c.timelines), maps.Clone(c.proofs), nil
	return c
}

func (j *journal) ordersOf(writer string) []int64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	return slices.Clone(j.contents.orders[writer])
}

// diverged says why a log that ends at position, on timeline, isn't the beginning of this one; empty if it is.
func (c *contents) diverged(position uint64, timeline uint32) string {
	limit := c.end
	known := timeline == 0
	for _, b := range c.timelines {
		switch {
		case b.timeline == timeline:
			known = true
		case b.timeline > timeline && known:
			limit = min(limit, b.position)
		}
	}
	if !known {
		return fmt.Sprintf("timeline %d is unknown here", timeline)
	}
	if position > limit {
		return fmt.Sprintf("on timeline %d it goes to %d, and this log took over at %d", timeline, position, limit)
	}
	return ""
}
