package wire

import (
	"fmt"
	"math"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/arbiter-ha/arbiter/failover"
)

// faults keeps the first fault of a conversion, so that conversions read as tables of fields.
type faults struct{ first error }

func (f *faults) add(field string, format string, args ...any) {
	if f.first == nil {
		f.first = fmt.Errorf("field %s: "+format, append([]any{field}, args...)...)
	}
}

// count converts a number for the wire, where it has no sign and 32 bits.
func (f *faults) count(field string, n int) uint32 {
	if n < 0 || n > math.MaxUint32 {
		f.add(field, "%d is out of range", n)
	}
	return uint32(n)
}

// duration reads a length of time; absent is zero.
func (f *faults) duration(field string, d *durationpb.Duration) time.Duration {
	value := d.AsDuration()
	if d == nil {
		return 0
	}
	if err := d.CheckValid(); err != nil {
		f.add(field, "%w", err)
	} else if value == math.MaxInt64 || value == math.MinInt64 { // AsDuration closes at its limits without a word
		f.add(field, "%d seconds do not fit", d.GetSeconds())
	}
	return value
}

// wall reads a wall-clock time; absent is zero.
func (f *faults) wall(field string, t *timestamppb.Timestamp) failover.WallTime {
	if t == nil {
		return 0
	}
	value := failover.WallTime(t.AsTime().UnixNano())
	if err := t.CheckValid(); err != nil {
		f.add(field, "%w", err)
	} else if !time.Unix(0, int64(value)).Equal(t.AsTime()) {
		f.add(field, "%d seconds since 1970 do not fit", t.GetSeconds())
	}
	return value
}

func wireDuration(d time.Duration) *durationpb.Duration {
	if d == 0 {
		return nil
	}
	return durationpb.New(d)
}

func wireWall(w failover.WallTime) *timestamppb.Timestamp {
	if w == 0 {
		return nil
	}
	return timestamppb.New(w.Time())
}

// text makes words for people safe for the wire: a server may answer in any character set. Names are not touched; a
// name that isn't valid is refused.
func text(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }

// each converts every element; no elements make nil, so that both directions agree on what is empty.
func each[From, To any](values []From, convert func(From) To) []To {
	if len(values) == 0 {
		return nil
	}
	converted := make([]To, len(values))
	for i, v := range values {
		converted[i] = convert(v)
	}
	return converted
}

// names converts between strings and named strings.
func names[To, From ~string](values []From) []To {
	return each(values, func(v From) To { return To(v) })
}
