package chaos

import (
	"fmt"
	"math"
	"time"

	"github.com/anishathalye/porcupine"
)

// Linearity is what the checker says of the register's history.
type Linearity string

// The answers. Undecided is a failure too: nothing was shown.
const (
	Linearizable    Linearity = "linearizable"
	NotLinearizable Linearity = "not linearizable"
	Undecided       Linearity = "undecided"
)

// checkPatience bounds the search, which is exponential for bad luck.
const checkPatience = 2 * time.Minute

// register is the model: a value that each acknowledged operation sees as it was before it. An operation without an
// answer may have done what it was to do.
var register = porcupine.Model{
	Init: func() any { return int64(0) },
	Step: func(state, input, output any) (bool, any) {
		value, o := state.(int64), input.(Operation)
		if o.Acked && o.Before != value {
			return false, value
		}
		if o.Verb == Write || o.Verb == CompareAndSet && value == o.Expected {
			return true, o.Value
		}
		return true, value
	},
	DescribeOperation: func(input, _ any) string {
		o := input.(Operation)
		return fmt.Sprintf("%s %d expecting %d: acknowledged %v, before %d, by %s", o.Verb, o.Value, o.Expected, o.Acked, o.Before, o.Member)
	},
}

// CheckRegister says whether there is one order of the operations, in accord with their times, in which each acknowledged
// one saw what was there. One without an answer may be at any place after its call, or not in the order at all: its
// interval stays open for ever, so that it may come after all others, where nobody sees it.
//
// Two simplifications keep the search short and change no answer, since every value is written by one operation only: an
// operation without an answer whose value nobody saw, or expected, can only have had no effect on what was seen, and
// is left out; and one whose value was seen must have happened before the first answer that saw it.
func CheckRegister(history []Operation) Linearity {
	var operations []porcupine.Operation
	for _, o := range relevant(history) {
		operations = append(operations, porcupine.Operation{
			ClientId: o.Client, Input: o, Call: o.Call.UnixNano(), Output: nil, Return: end(o),
		})
	}
	switch porcupine.CheckOperationsTimeout(register, operations, checkPatience) {
	case porcupine.Ok:
		return Linearizable
	case porcupine.Illegal:
		return NotLinearizable
	default:
		return Undecided
	}
}

func end(o Operation) int64 {
	if o.Return.IsZero() {
		return math.MaxInt64
	}
	return o.Return.UnixNano()
}

// relevant drops what can't have been seen, and closes what was seen. An open operation has no Return.
func relevant(history []Operation) []Operation {
	writer := map[int64]int{} // by value: index of the operation that writes it
	firstSeen := map[int64]time.Time{}
	for i, o := range history {
		if o.Value != 0 {
			writer[o.Value] = i
		}
		if seen, any := firstSeen[o.Before]; o.Acked && (!any || o.Return.Before(seen)) {
			firstSeen[o.Before] = o.Return
		}
	}
	needed := map[int]bool{}
	var need func(i int)
	need = func(i int) {
		if needed[i] {
			return
		}
		needed[i] = true
		if o := history[i]; o.Verb == CompareAndSet && !o.Acked {
			if from, any := writer[o.Expected]; any {
				need(from) // it can only have had an effect after what it expected
			}
		}
	}
	for i, o := range history {
		if _, seen := firstSeen[o.Value]; o.Acked || o.Value != 0 && seen {
			need(i)
		}
	}
	var kept []Operation
	for i, o := range history {
		if !needed[i] {
			continue
		}
		if !o.Acked {
			o.Return = firstSeen[o.Value] // zero if only expected: open
			if !o.Return.IsZero() && o.Return.Before(o.Call) {
				o.Return = o.Call // seen before it was sent: wrong, and left for the checker to find
			}
		}
		kept = append(kept, o)
	}
	return kept
}
