package route

import (
	"errors"
	"maps"
	"strings"
	"testing"
)

const (
	twoServers = "1\n# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_iweight srv_fqdn srv_port\n" +
		"2 pg 1 db1 127.0.0.1 0 1 1 1 - 18001\n2 pg 2 db2 ::1 2 4 1 1 db2.internal 18009\n"
	twoStatistics = "# pxname,svname,qcur,scur,bck\npg,db1,0,3,0\npg,db2,0,0,1\n"
)

func TestSplitAnswers(t *testing.T) {
	answers, err := splitAnswers("\n\nIP changed\n\n1\n# a\n\n\n")
	if err != nil || strings.Join(answers, "|") != "||IP changed\n|1\n# a\n|" {
		t.Errorf("got %q, %v", answers, err)
	}
	for _, cut := range []string{"1\n# a", "1\n# a\n", "x"} {
		if _, err := splitAnswers(cut); !errors.Is(err, ErrBadAnswer) {
			t.Errorf("%q: %v", cut, err)
		}
	}
}

func TestSucceeded(t *testing.T) {
	const setAddress = "set server pg/db2 addr ::1 port 18010"
	for _, test := range []struct {
		command, answer string
		want            bool
	}{
		{"set server pg/db1 state maint", "", true},
		{"set server pg/db1 state maint", "No such server.\n", false},
		{"shutdown sessions server pg/db1", "Permission denied\n", false},
		{setAddress, "IP changed from '127.0.0.1' to '::1', port changed from '18009' to '18010' by 'stats socket command'\n", true},
		{setAddress, "no need to change the addr, no need to change the port by 'stats socket command'\n", true},
		{setAddress, "", false},
		{setAddress, "Invalid addr 'foo' by 'stats socket command'\n", false},
		{setAddress, "no need to change the addr, no need to change the port by 'stats socket command'\nbut\n", false},
	} {
		if got := succeeded(test.command, test.answer); got != test.want {
			t.Errorf("%q: %q: %v", test.command, test.answer, got)
		}
	}
}

func TestParseServersState(t *testing.T) {
	servers, err := parseServersState(twoServers, "pg")
	if err != nil || len(servers) != 2 {
		t.Fatalf("got %+v, %v", servers, err)
	}
	one, two := servers["db1"], servers["db2"]
	if !one.inMaintenance() || one.ready() || one.running || one.port != "18001" || one.address != "127.0.0.1" {
		t.Errorf("db1 %+v", one)
	}
	if two.inMaintenance() || !two.ready() || !two.running || two.fqdn != "db2.internal" || two.address != "::1" {
		t.Errorf("db2 %+v", two)
	}
	for name, answer := range map[string]string{
		"empty":             "",
		"no such backend":   "Can't find backend.\n",
		"another version":   strings.Replace(twoServers, "1\n", "2\n", 1),
		"another backend":   strings.Replace(twoServers, "2 pg 2", "2 other 2", 1),
		"missing column":    strings.Replace(twoServers, "srv_admin_state", "srv_x", 1),
		"short line":        twoServers + "2 pg 3 db3\n",
		"twice":             twoServers + "2 pg 2 db2 ::1 2 4 1 1 - 18009\n",
		"not a number":      strings.Replace(twoServers, " 2 4 ", " 2 x ", 1),
		"unknown state":     strings.Replace(twoServers, " 2 4 ", " 9 4 ", 1),
		"negative admin":    strings.Replace(twoServers, " 2 4 ", " 2 -1 ", 1),
		"no weight":         strings.Replace(twoServers, "srv_uweight", "srv_x", 1),
		"no initial weight": strings.Replace(twoServers, "srv_iweight", "srv_x", 1),
		"header without #":  strings.Replace(twoServers, "# be_id", "be_id", 1),
		"only the version":  "1\n",
		"version, no lines": "1",
	} {
		if got, err := parseServersState(answer, "pg"); !errors.Is(err, ErrBadAnswer) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	if servers, err := parseServersState(strings.Replace(twoServers, " 2 4 1 1 ", " 2 4 0 1 ", 1), "pg"); err != nil || servers["db2"].usable() || servers["db2"].told() != "weight 0" {
		t.Errorf("weight 0: %+v, %v", servers, err)
	}
	for admin, want := range map[string][2]bool{ // ready, in maintenance by command
		"0": {true, false}, "4": {true, false}, "1": {false, true}, "2": {false, false}, "8": {false, false}, "16": {false, false},
		"32": {false, false}, "5": {false, true},
	} {
		servers, err := parseServersState(strings.Replace(twoServers, " 0 1 ", " 0 "+admin+" ", 1), "pg")
		if s := servers["db1"]; err != nil || s.ready() != want[0] || s.inMaintenance() != want[1] {
			t.Errorf("admin state %s: %+v, %v", admin, s, err)
		}
	}
}

func TestParseStatistics(t *testing.T) {
	statistics, err := parseStatistics(twoStatistics, "pg")
	want := map[string]serverStatistics{"db1": {sessions: 3}, "db2": {backup: true}}
	if err != nil || !maps.Equal(statistics, want) {
		t.Errorf("got %v, %v", statistics, err)
	}
	without, err := parseStatistics("# pxname,svname,scur\npg,db1,3\n", "pg")
	if err != nil || !maps.Equal(without, map[string]serverStatistics{"db1": {sessions: 3}}) {
		t.Errorf("without the column: %v, %v", without, err)
	}
	for name, answer := range map[string]string{
		"empty":           "",
		"words":           "Permission denied\n",
		"no count":        "# pxname,svname,scur\npg,db1,\n",
		"negative":        "# pxname,svname,scur\npg,db1,-1\n",
		"no column":       "# pxname,svname\npg,db1\n",
		"another backend": "# pxname,svname,scur\nx,db1,1\n",
		"bad quotes":      "# pxname,svname,scur\npg,\"db1,1\n",
		"no name":         "# pxname,svname,scur\npg,,1\n",
	} {
		if got, err := parseStatistics(answer, "pg"); !errors.Is(err, ErrBadAnswer) {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
}

// FuzzHAProxyAnswers: whatever comes, nothing panics, and what is taken for closed was said to be in maintenance.
func FuzzHAProxyAnswers(f *testing.F) {
	f.Add("\n\n" + twoServers + "\n" + twoStatistics + "\n")
	f.Add(twoServers + "\n")
	f.Add("No such server.\n\n")
	f.Fuzz(func(t *testing.T, text string) {
		answers, err := splitAnswers(text)
		if err != nil {
			return
		}
		for _, answer := range answers {
			if strings.Contains(answer, "\n\n") {
				t.Fatalf("two answers in %q", answer)
			}
			if answer != "" && succeeded("set server pg/db1 state maint", answer) {
				t.Fatalf("words taken for success: %q", answer)
			}
			servers, err := parseServersState(answer, "pg")
			for name, s := range servers {
				if err != nil || name == "" || s.name != name || s.inMaintenance() && (s.ready() || s.running) {
					t.Fatalf("%q: %+v, %v", name, s, err)
				}
			}
			statistics, err := parseStatistics(answer, "pg")
			for name, s := range statistics {
				if err != nil || name == "" || s.sessions < 0 {
					t.Fatalf("%q: %+v, %v", name, s, err)
				}
			}
		}
	})
}

func FuzzCommandAnswer(f *testing.F) {
	f.Add(`{"open": ["pg-a"]}`)
	f.Add(`{"open": []}`)
	f.Add(`{}`)
	f.Fuzz(func(t *testing.T, text string) {
		if answer, err := parseCommandAnswer(text); err == nil && answer.Open == nil {
			t.Fatalf("nothing read from %q", text)
		}
	})
}
