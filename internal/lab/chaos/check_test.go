package chaos

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"
)

// at is a moment of a history, in milliseconds.
func at(ms int) time.Time { return time.UnixMilli(1_000_000 + int64(ms)) }

func acked(client string, number int64, from, until int, member string) Append {
	return Append{Client: client, Number: number, Began: at(from), Ended: at(until), Acked: true, Member: member}
}

func row(client string, number int64, executed int, member string) Row {
	return Row{Client: client, Number: number, Member: member, Executed: at(executed), Committed: at(executed + 1)}
}

func TestCheckAppends(t *testing.T) {
	unknown := Append{Client: "c", Number: 3, Began: at(200), Ended: at(300)}
	appends := []Append{acked("c", 1, 0, 50, "pg-a"), acked("c", 2, 100, 150, "pg-a"), unknown, acked("c", 4, 400, 450, "pg-b")}
	rows := []Row{row("c", 1, 10, "pg-a"), row("c", 2, 110, "pg-a"), row("c", 4, 410, "pg-b")}
	late := row("c", 3, 500, "pg-b") // it was given up, and came after the next one
	disordered := slices.Clone(rows)
	disordered[0].Committed = at(120)
	for name, test := range map[string]struct {
		rows                               []Row
		lost, doubled, disordered, strange int
	}{
		"all there":               {rows: rows},
		"unknown and late":        {rows: append(slices.Clone(rows), late)},
		"lost":                    {rows: rows[1:], lost: 1},
		"doubled":                 {rows: append(slices.Clone(rows), row("c", 2, 110, "pg-a")), doubled: 1},
		"unknown doubled":         {rows: append(slices.Clone(rows), late, late), doubled: 1},
		"disordered":              {rows: disordered, disordered: 1},
		"never made":              {rows: append(slices.Clone(rows), row("c", 9, 10, "pg-a")), strange: 1},
		"by somebody else":        {rows: []Row{row("c", 1, 10, "pg-c"), rows[1], rows[2]}, strange: 1},
		"executed before sent":    {rows: []Row{rows[0], rows[1], row("c", 4, 350, "pg-b")}, strange: 1},
		"executed after answered": {rows: []Row{rows[0], rows[1], row("c", 4, 480, "pg-b")}, strange: 1},
	} {
		t.Run(name, func(t *testing.T) {
			f := CheckAppends(appends, test.rows, clockGrain)
			if len(f.Lost) != test.lost || len(f.Doubled) != test.doubled || len(f.Disordered) != test.disordered || len(f.Strange) != test.strange {
				t.Errorf("%+v", f)
			}
			r := &Report{LostAcked: len(f.Lost), AppendFaults: f, RegisterVerdict: Linearizable}
			if wrong := test.lost+test.doubled+test.disordered+test.strange > 0; (r.Failed() != nil) != wrong {
				t.Errorf("the run fails with %v", r.Failed())
			}
		})
	}
}

func wrote(client int, value, before int64, from, until int) Operation {
	return Operation{Client: client, Verb: Write, Value: value, Before: before, Acked: true, Call: at(from), Return: at(until)}
}

func readOf(client int, value int64, from, until int) Operation {
	return Operation{Client: client, Verb: Read, Before: value, Acked: true, Call: at(from), Return: at(until)}
}

func compared(client int, expected, value, before int64, from, until int) Operation {
	return Operation{Client: client, Verb: CompareAndSet, Expected: expected, Value: value, Before: before, Acked: true, Call: at(from), Return: at(until)}
}

// unknown takes the answer away.
func unknown(o Operation) Operation {
	o.Acked, o.Before = false, 0
	return o
}

func TestCheckRegister(t *testing.T) {
	for name, test := range map[string]struct {
		history []Operation
		want    Linearity
	}{
		"one after the other": {[]Operation{wrote(0, 1, 0, 0, 10), readOf(1, 1, 20, 30), compared(0, 1, 2, 1, 40, 50), readOf(1, 2, 60, 70)}, Linearizable},
		"at the same time":    {[]Operation{wrote(0, 1, 0, 0, 10), wrote(0, 2, 1, 20, 60), readOf(1, 1, 30, 40), readOf(1, 2, 45, 50)}, Linearizable},
		"a comparison fails":  {[]Operation{wrote(0, 1, 0, 0, 10), compared(1, 7, 2, 1, 20, 30), readOf(0, 1, 40, 50)}, Linearizable},
		"stale read":          {[]Operation{wrote(0, 1, 0, 0, 10), wrote(0, 2, 1, 20, 30), readOf(1, 1, 40, 50)}, NotLinearizable},
		"a write is lost":     {[]Operation{wrote(0, 1, 0, 0, 10), readOf(1, 0, 20, 30)}, NotLinearizable},
		"a write is lost, and another is made on top": {
			[]Operation{wrote(0, 1, 0, 0, 10), wrote(0, 2, 1, 20, 30), wrote(1, 3, 1, 40, 50)}, NotLinearizable,
		},
		"both comparisons succeed": {[]Operation{compared(0, 0, 1, 0, 0, 30), compared(1, 0, 2, 0, 0, 30)}, NotLinearizable},
		"back and forth":           {[]Operation{wrote(0, 1, 0, 0, 10), wrote(1, 2, 1, 20, 90), readOf(0, 2, 30, 40), readOf(0, 1, 50, 60)}, NotLinearizable},
		"read out of nowhere":      {[]Operation{readOf(0, 5, 0, 10)}, NotLinearizable},
		"unknown, happened":        {[]Operation{wrote(0, 1, 0, 0, 10), unknown(wrote(1, 2, 1, 20, 30)), readOf(0, 2, 40, 50)}, Linearizable},
		"unknown, happened late":   {[]Operation{wrote(0, 1, 0, 0, 10), unknown(wrote(1, 2, 1, 20, 30)), readOf(0, 1, 40, 50), readOf(0, 2, 60, 70)}, Linearizable},
		"unknown, never happened":  {[]Operation{wrote(0, 1, 0, 0, 10), unknown(wrote(1, 2, 1, 20, 30)), readOf(0, 1, 40, 50)}, Linearizable},
		"unknown, happened twice": {
			[]Operation{wrote(0, 1, 0, 0, 10), unknown(wrote(1, 2, 1, 20, 30)), readOf(0, 2, 40, 50), wrote(0, 3, 2, 60, 70), readOf(0, 2, 80, 90)}, NotLinearizable,
		},
		"unknown, seen before it was sent": {[]Operation{readOf(0, 2, 0, 10), unknown(wrote(1, 2, 0, 20, 30))}, NotLinearizable},
		"unknown comparison, happened":     {[]Operation{wrote(0, 1, 0, 0, 10), unknown(compared(1, 1, 2, 1, 20, 30)), readOf(0, 2, 40, 50)}, Linearizable},
		"unknown comparison that can't have": {
			[]Operation{wrote(0, 1, 0, 0, 10), unknown(compared(1, 9, 2, 9, 20, 30)), readOf(0, 2, 40, 50)}, NotLinearizable,
		},
		"unknown comparison on top of an unseen unknown write": {
			[]Operation{unknown(wrote(0, 1, 0, 0, 10)), unknown(compared(1, 1, 2, 1, 20, 30)), readOf(0, 2, 40, 50)}, Linearizable,
		},
	} {
		t.Run(name, func(t *testing.T) {
			if got := CheckRegister(test.history); got != test.want {
				t.Errorf("%s", got)
			}
			r := &Report{RegisterVerdict: test.want}
			if (r.Failed() == nil) != (test.want == Linearizable) {
				t.Errorf("the run fails with %v", r.Failed())
			}
		})
	}
}

func accepts(member string, executed, ended int) Accepted {
	return Accepted{Member: member, Executed: at(executed), Ended: at(ended), By: "test"}
}

func starts(member string, ms int) Moment { return Moment{Member: member, At: at(ms)} }
func ready(member string, ms int) Moment  { return Moment{Member: member, At: at(ms), Ready: true} }

func TestCheckWriters(t *testing.T) {
	begin := []Moment{starts("pg-a", 0), ready("pg-a", 10), starts("pg-b", 0)}
	for name, test := range map[string]struct {
		moments  []Moment
		accepted []Accepted
		doubles  int
	}{
		"a failover": {
			append(slices.Clone(begin), ready("pg-b", 200)),
			[]Accepted{accepts("pg-a", 20, 30), accepts("pg-a", 100, 190), accepts("pg-b", 210, 220)},
			0,
		},
		"sent before, answered after": { // nobody knows when in between
			append(slices.Clone(begin), ready("pg-b", 200)),
			[]Accepted{accepts("pg-a", 20, 30), accepts("pg-a", 150, 300), accepts("pg-b", 210, 220)},
			0,
		},
		"there and back": {
			append(slices.Clone(begin), ready("pg-b", 200), starts("pg-a", 300), ready("pg-a", 500)),
			[]Accepted{accepts("pg-a", 20, 30), accepts("pg-b", 210, 400), accepts("pg-a", 510, 520)},
			0,
		},
		"the old one goes on": {
			append(slices.Clone(begin), ready("pg-b", 200)),
			[]Accepted{accepts("pg-a", 20, 30), accepts("pg-b", 210, 220), accepts("pg-a", 300, 310)},
			2, // pg-b began, and wrote
		},
		"the old one wakes up after the new one's last write": {
			append(slices.Clone(begin), ready("pg-b", 200)),
			[]Accepted{accepts("pg-a", 20, 30), accepts("pg-b", 210, 220), accepts("pg-a", 900, 910)},
			2,
		},
		"one begins, and writes nothing": {
			append(slices.Clone(begin), ready("pg-b", 200)),
			[]Accepted{accepts("pg-a", 20, 30), accepts("pg-a", 300, 310)},
			1,
		},
		"orphans write on": { // the new process of pg-a has not begun
			append(slices.Clone(begin), ready("pg-b", 200), starts("pg-a", 800)),
			[]Accepted{accepts("pg-a", 20, 30), accepts("pg-a", 400, 410), accepts("pg-b", 300, 310)},
			2,
		},
		"a write that no log explains": {
			begin, []Accepted{accepts("pg-a", 20, 30), accepts("pg-a", 500, 510), accepts("pg-b", 100, 110)}, 1,
		},
	} {
		t.Run(name, func(t *testing.T) {
			doubles := CheckWriters(test.moments, test.accepted)
			if len(doubles) != test.doubles {
				t.Errorf("%d: %s", len(doubles), strings.Join(doubles, "\n"))
			}
			r := &Report{DoubleWritable: len(doubles), RegisterVerdict: Linearizable}
			if (r.Failed() != nil) != (test.doubles > 0) {
				t.Errorf("the run fails with %v", r.Failed())
			}
		})
	}
}

// A failover for which nobody gave a reason fails the run, by name, also if nothing was lost.
func TestAFailoverWithoutAFaultFailsTheRun(t *testing.T) {
	r := &Report{Failovers: 3, FalseFailovers: 1, RegisterVerdict: Linearizable}
	if err := r.Failed(); !errors.Is(err, ErrFalse) {
		t.Errorf("the run fails with %v", err)
	}
	r.FalseFailovers = 0
	if err := r.Failed(); err != nil {
		t.Errorf("the run fails with %v", err)
	}
}

func TestMomentsOfALog(t *testing.T) {
	moments, err := MomentsOf("pg-a", "testdata/postgres.log")
	if err != nil {
		t.Fatal(err)
	}
	want := []Moment{
		{Member: "pg-a", At: time.Date(2026, 11, 25, 18, 49, 20, 101e6, time.UTC)},
		{Member: "pg-a", At: time.Date(2026, 11, 25, 18, 49, 31, 207e6, time.UTC), Ready: true},
	}
	if !slices.EqualFunc(moments, want, func(a, b Moment) bool { return a.Member == b.Member && a.At.Equal(b.At) && a.Ready == b.Ready }) {
		t.Errorf("%v", moments)
	}
}

func TestOutages(t *testing.T) {
	appends := []Append{
		acked("c", 1, 0, 10, "pg-a"), acked("d", 1, 0, 400, "pg-a"),
		{Client: "c", Number: 2, Began: at(500), Ended: at(900)},
		acked("c", 3, 1000, 1100, "pg-b"), acked("d", 2, 500, 1150, "pg-b"),
	}
	outages := Outages(appends)
	if len(outages) != 1 || !outages[0].From.Equal(at(400)) || outages[0].Length() != 700*time.Millisecond {
		t.Errorf("%v", outages)
	}
}
