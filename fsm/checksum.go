package fsm

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	"google.golang.org/protobuf/encoding/protowire"
)

// checksumField is Entry.checksum, and checksumBytes what the field takes: a tag and four bytes. It always stands last, so that it can
// be compared before anything else in the entry is believed: neither bbolt nor Raft would see that a disk gives other bytes than it was given.
const (
	checksumField = 5
	checksumBytes = 1 + 4
)

// castagnoli is the polynomial of CRC-32C (RFC 3720, appendix B.4).
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

var errDamaged = errors.New("its bytes are not those that were written")

// sealed appends the checksum of an encoded entry.
func sealed(data []byte) []byte {
	sum := crc32.Checksum(data, castagnoli)
	return protowire.AppendFixed32(protowire.AppendTag(data, checksumField, protowire.Fixed32Type), sum)
}

// Intact says whether an entry's bytes are those that its proposer encoded: nil, or what is wrong with them.
func Intact(data []byte) error {
	content := len(data) - checksumBytes
	if content < 0 || data[content] != byte(protowire.EncodeTag(checksumField, protowire.Fixed32Type)) {
		return fmt.Errorf("%w: it does not end with a checksum", errDamaged)
	}
	if got, want := crc32.Checksum(data[:content], castagnoli), binary.LittleEndian.Uint32(data[content+1:]); got != want {
		return fmt.Errorf("%w: their checksum is %08x, and %08x was written", errDamaged, got, want)
	}
	return nil
}
