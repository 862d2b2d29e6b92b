package failover

import (
	"slices"
	"testing"
	"time"
)

// saidDown and looksFail are members that failed at a time; the latter is not said to be down yet.
func saidDown(since time.Duration) MemberSight  { return MemberSight{Since: since, Down: true} }
func looksFail(since time.Duration) MemberSight { return MemberSight{Since: since} }

// down are so many members that failed ten seconds after the boot and are said to be down.
func down(n int) []MemberSight { return slices.Repeat([]MemberSight{saidDown(10 * time.Second)}, n) }

func pointAnswered(began time.Duration) PointSight { return PointSight{Began: began, Answered: true} }
func pointSilent(began time.Duration) PointSight   { return PointSight{Began: began} }

func TestSelfDoubt_WhoseTroubleItIs(t *testing.T) {
	one, two, all := down(1), down(2), down(3)
	three := func(failing []MemberSight, reached ...time.Duration) []GroupSight {
		return []GroupSight{{Members: 3, Failing: failing, Reached: reached}}
	}
	pairOf := func(failing []MemberSight, reached ...time.Duration) []GroupSight {
		return []GroupSight{{Members: 2, Failing: failing, Reached: reached}}
	}
	const before, at, after = 9 * time.Second, 10 * time.Second, 11 * time.Second
	nobody := []PointSight{pointSilent(after), pointSilent(after)}
	for _, c := range []struct {
		name   string
		groups []GroupSight
		points []PointSight
		want   bool
	}{
		{"nothing fails", nil, nobody, false},
		{"cut off from everything", three(all), nobody, true},
		{"cut off, and only one member is said to be down so far", three([]MemberSight{saidDown(at), looksFail(at)}, before), nobody, true},
		{"cut off, and nobody is said to be down yet", three([]MemberSight{looksFail(at), looksFail(at), looksFail(at)}), nobody, false},
		{"new connections fail, and two members answer over open ones", three(one, before, before), nobody, true},
		{"one reference point answers", three(all), []PointSight{pointSilent(after), pointAnswered(after)}, false},
		{"one answers, in a look that began as the members failed", three(all), []PointSight{pointAnswered(at)}, false},
		{"one answered, before the members failed", three(all), []PointSight{pointAnswered(before), pointSilent(after)}, true},
		{"one answered, before the last member failed", three([]MemberSight{saidDown(at), saidDown(12 * time.Second)}), []PointSight{pointAnswered(after)}, true},
		{"one answered, before a member failed that isn't said to be down yet", three([]MemberSight{saidDown(at), looksFail(12 * time.Second)}), []PointSight{pointAnswered(after)}, false},
		{"nobody has been looked at yet", three(all), []PointSight{{}}, true},
		{"no reference points", three(all), nil, false},
		{"one of three fails", three(one, after, after), nobody, false},
		{"one of three fails, and the others answer in looks that began as it failed", three(one, at, at), nobody, false},
		{"two of three fail", three(two, after), nobody, true},
		{"one of a pair fails", pairOf(one, after), nobody, false},
		{"both of a pair fail", pairOf(two), nobody, true},
		{"two of five fail", []GroupSight{{Members: 5, Failing: two, Reached: []time.Duration{after, after, after}}}, nobody, false},
		{"a zone is lost with the primaries of pairs", append(pairOf(one, after), append(pairOf(one, after), pairOf(one, after)...)...), nobody, false},
		{"the first group of many to fail", append(three(one, after, after), three(all)...), nobody, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := Surroundings{Now: 12 * time.Second, Groups: c.groups, Points: c.points, Settle: time.Second}
			if got := (SelfDoubt{}).Next(s); got.On != c.want {
				t.Errorf("doubt %t, want %t", got.On, c.want)
			}
		})
	}
}

// What a cut-off arbiter saw still says "down" when its network is back: that doesn't count until it has looked again.
func TestSelfDoubt_OutlastsLooksOfTheCut(t *testing.T) {
	s := Surroundings{
		Now: 12 * time.Second, Settle: 2 * time.Second, Points: []PointSight{pointSilent(11 * time.Second)},
		Groups: []GroupSight{{Members: 3, Failing: []MemberSight{saidDown(10 * time.Second), saidDown(10 * time.Second), saidDown(10 * time.Second)}}},
	}
	d := SelfDoubt{}.Next(s)
	s.Now, s.Points[0] = 13*time.Second, pointSilent(12*time.Second)
	d = d.Next(s)
	s.Now, s.Points[0] = 14*time.Second, pointAnswered(13*time.Second)
	if d = d.Next(s); !d.On {
		t.Error("no doubt as soon as a reference point answers")
	}
	good := s
	good.Groups = []GroupSight{{Members: 3, Failing: []MemberSight{{Since: 10 * time.Second}}}}
	if d.Next(good).On {
		t.Error("doubt although nobody is said to be down any more")
	}
	one := s
	one.Groups = []GroupSight{{Members: 3, Failing: s.Groups[0].Failing[:1], Reached: []time.Duration{s.Now, s.Now}}}
	if !d.Next(one).On {
		t.Error("no doubt as soon as most members answer: what is said of the last one is old too")
	}
	if s.Now = 15 * time.Second; d.Next(s).On {
		t.Error("doubt although all looks began after a reference point answered")
	}
	if s.Points[0] = pointSilent(14 * time.Second); !d.Next(s).On {
		t.Error("no doubt after the reference points went silent again")
	}
}

// A reference point may take a moment to answer. Until then the view doesn't count, and counts at once when it has: members that
// really crash are not noticed later for it.
func TestSelfDoubt_WaitsForAnAnswer(t *testing.T) {
	const ms = time.Millisecond
	all := []MemberSight{saidDown(10 * time.Second), saidDown(10 * time.Second), saidDown(10 * time.Second)}
	for _, c := range []struct {
		name   string
		after  time.Duration
		points []PointSight
		want   SelfDoubt
	}{
		{"nobody has answered yet", 5 * ms, []PointSight{{}, {}}, SelfDoubt{On: true}},
		{"one is silent, the other may answer yet", 5 * ms, []PointSight{pointSilent(10 * time.Second), pointAnswered(9 * time.Second)}, SelfDoubt{On: true}},
		{"one was silent before, and may answer yet", 5 * ms, []PointSight{pointSilent(10 * time.Second), pointSilent(9 * time.Second)}, SelfDoubt{On: true}},
		{"one has answered", 5 * ms, []PointSight{pointSilent(10 * time.Second), pointAnswered(10 * time.Second)}, SelfDoubt{}},
		{"all are silent", 5 * ms, []PointSight{pointSilent(10 * time.Second), pointSilent(10 * time.Second)}, SelfDoubt{On: true, CutOff: true, until: 11*time.Second + 5*ms}},
		{"nobody has answered for long", 250 * ms, []PointSight{{}, {}}, SelfDoubt{On: true, CutOff: true, until: 11*time.Second + 250*ms}},
	} {
		s := Surroundings{Now: 10*time.Second + c.after, Settle: time.Second, Points: c.points, Groups: []GroupSight{{Members: 3, Failing: all}}}
		got := SelfDoubt{}.Next(s)
		if got != c.want {
			t.Errorf("%s: %+v, want %+v", c.name, got, c.want)
		}
		s.Points = []PointSight{pointAnswered(10 * time.Second)}
		if after := got.Next(s); after.On != c.want.CutOff {
			t.Errorf("%s, then one answers: %+v", c.name, after)
		}
	}
}

func TestSurroundings_NeedsLook(t *testing.T) {
	sight := func(reached ...time.Duration) Surroundings {
		return Surroundings{Groups: []GroupSight{{Members: 3, Failing: []MemberSight{looksFail(12 * time.Second)}, Reached: reached}}}
	}
	for _, c := range []struct {
		name           string
		s              Surroundings
		began          time.Duration
		want, troubled bool
	}{
		{"a look began before the member failed", sight(), 11 * time.Second, true, true},
		{"a look began after it failed", sight(), 12 * time.Second, false, true},
		{"the others were reached before only", sight(11*time.Second, 11*time.Second), 11 * time.Second, true, true},
		{"one of the others was reached since", sight(11*time.Second, 13*time.Second), 11 * time.Second, true, true},
		{"the others were reached since", sight(12*time.Second, 13*time.Second), 11 * time.Second, false, false},
		{"nothing fails", Surroundings{}, 0, false, false},
	} {
		if got := c.s.NeedsLook(c.began); got != c.want {
			t.Errorf("%s: %t, want %t", c.name, got, c.want)
		}
		if got := c.s.Troubled(); got != c.troubled {
			t.Errorf("%s: troubled %t, want %t", c.name, got, c.troubled)
		}
	}
}
