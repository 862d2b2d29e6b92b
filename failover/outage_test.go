package failover

import (
	"testing"
	"time"
)

// What a user is told of an outage ends with the first proven write, and not when the last standby follows.
func TestWriteOutage(t *testing.T) {
	at := func(ms int) WallTime { return WallTime(time.Duration(ms) * time.Millisecond) }
	ms := func(n int) time.Duration { return time.Duration(n) * time.Millisecond }
	verify := Step{Name: "verify", Began: at(300), Ended: at(2000), Result: ResultDone, Parts: []StepTime{
		{Name: "written through the route", Length: ms(10)},
		{Name: "seen on b", Start: ms(10), Length: ms(5), WriteSeen: true},
		{Name: "written through the route", Start: ms(15), Length: ms(20)},
		{Name: "seen on b", Start: ms(35), Length: ms(5), WriteSeen: true},
		{Name: "c follows b", Start: 0, Length: ms(1700)},
	}}
	failed, bare := verify, verify
	failed.Result, bare.Parts = ResultFailed, nil
	fault, asked := Step{Name: "fault", Began: at(100)}, Step{Name: "asked", Began: at(50)}
	isolate := Step{Name: "isolate", Began: at(120), Ended: at(250)}
	for name, test := range map[string]struct {
		steps []Step
		want  time.Duration // 0: none
	}{
		"a fault":                         {[]Step{fault, {Name: "verdict", Began: at(110)}, isolate, verify}, ms(240)},
		"asked for: while it is isolated": {[]Step{asked, isolate, verify}, ms(220)},
		"after a try that failed":         {[]Step{fault, isolate, failed, verify}, ms(240)},
		"no parts":                        {[]Step{fault, isolate, bare}, ms(1900)},
		"nothing proven":                  {[]Step{fault, isolate, failed}, 0},
		"nothing isolated":                {[]Step{asked, verify}, 0},
	} {
		got, proven := WriteOutage(&Operation{Steps: test.steps})
		if got != test.want || proven != (test.want > 0) {
			t.Errorf("%s: %v, %t, want %v", name, got, proven, test.want)
		}
	}
}
