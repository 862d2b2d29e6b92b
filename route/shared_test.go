package route

import (
	"errors"
	"maps"
	"net"
	"slices"
	"strings"
	"testing"

	"github.com/arbiter-ha/arbiter/failover"
	"github.com/arbiter-ha/arbiter/internal/secret"
)

// sharing is a group whose members are given by name, and whose pg-b HAProxy has at the address of pg-a, 127.0.0.1. It is at 127.0.0.2, with the same port.
type sharing struct {
	*lab
	routers *Routers
	route   failover.Route
	request Request
	port    string
}

// newSharing starts it; here is what the names vm-a and vm-b stand for here, none if the name server doesn't answer.
func newSharing(t *testing.T, here fixedNames, more ...string) *sharing {
	l := newLab(t, "")
	_, port, _ := net.SplitHostPort(l.members[0].Address)
	namedServerAt(t, "127.0.0.2:"+port, "pg-b", l.left)
	s := &sharing{
		lab: l, routers: NewRouters(new(secret.Reader)), request: l.request(), port: port,
		route: haproxyRoute(append([]string{"socket", "unix://" + l.unix, "backend", "orders", "server.pg-c", "third"}, more...)...),
	}
	s.routers.names = here
	if here == nil {
		s.routers.names = silentNames(t)
	}
	s.request.Members = slices.Clone(l.members)
	s.request.Members[0].Address, s.request.Members[1].Address = "vm-a:"+port, "vm-b:"+port
	s.give("set server orders/pg-b addr 127.0.0.1 port " + port)
	return s
}

func (s *sharing) open(member failover.MemberName) error {
	s.t.Helper()
	router, err := s.routers.Of(s.t.Context(), s.route)
	if err != nil {
		s.t.Fatal(err)
	}
	return router.Open(s.t.Context(), s.request, member)
}

func (s *sharing) astray(primary failover.MemberName) string {
	s.t.Helper()
	found, unread := s.routers.Astray(s.t.Context(), s.route, s.request, primary)
	if unread != nil {
		s.t.Fatal(unread)
	}
	return inWords(found)
}

// problems are those of one member, by whether a failover would work with them.
func (s *sharing) problems(member, primary failover.MemberName) (blocking, warnings []string) {
	s.t.Helper()
	for _, p := range s.routers.Inspect(s.t.Context(), s.route, s.request, primary) {
		switch {
		case p.Member != member:
		case p.Warning:
			warnings = append(warnings, p.Message+" FIX "+p.Fix)
		default:
			blocking = append(blocking, p.Message+" FIX "+p.Fix)
		}
	}
	return blocking, warnings
}

var apart = fixedNames{"vm-a": {"127.0.0.1"}, "vm-b": {"127.0.0.2"}}

// A new primary whose server HAProxy has at the old one's address gets its own by its name, and is found there again after a change by hand.
func TestANewPrimaryIsNotOpenedAtTheOldOnesAddress(t *testing.T) {
	s := newSharing(t, apart)
	blocking, warnings := s.problems("pg-b", "pg-a")
	if len(blocking) > 0 || len(warnings) != 1 || !strings.Contains(warnings[0], "has it at 127.0.0.1:"+s.port+", as it has pg-a, and from here vm-b is 127.0.0.2 FIX mend it in the router") {
		t.Errorf("check beforehand: blocking %q, warnings %q", blocking, warnings)
	}
	if blocking, warnings := s.problems("pg-a", "pg-a"); len(blocking)+len(warnings) > 0 {
		t.Errorf("check of the one that is where its name leads: blocking %q, warnings %q", blocking, warnings)
	}
	if err := s.open("pg-b"); err != nil {
		t.Fatal(err)
	}
	s.wantServer("pg-b")
	if found := s.astray("pg-b"); found != "" {
		t.Errorf("after it was opened: %q", found)
	}
	s.give("set server orders/pg-b addr 127.0.0.1 port " + s.port)
	if found := s.astray("pg-b"); !strings.Contains(found, "has it at 127.0.0.1:"+s.port+", and its address is vm-b:") {
		t.Errorf("after a change by hand: %q", found)
	}
}

// A primary that is where its name leads stays there, also if the server of another member, which belongs elsewhere, is there too.
func TestAPrimaryIsNotMovedForAnothersWrongAddress(t *testing.T) {
	s := newSharing(t, apart)
	kept := s.wantServer("pg-a")
	if found := s.astray("pg-a"); found != "" {
		t.Errorf("astray: %q", found)
	}
	if err := s.open("pg-a"); err != nil {
		t.Fatal(err)
	}
	kept.wantKept(t)
	s.wantServer("pg-a")
}

// Where names here say of neither that it is at the address that both have, nobody is moved but by a failover.
func TestAPrimaryIsNotMovedOnAGuess(t *testing.T) {
	s := newSharing(t, fixedNames{"vm-a": {"127.0.0.8"}, "vm-b": {"127.0.0.2"}})
	for _, primary := range []failover.MemberName{"pg-a", "pg-b"} {
		if found := s.astray(primary); strings.Contains(found, "its address is") {
			t.Errorf("astray with primary %s: %q", primary, found)
		}
	}
	if err := s.open("pg-b"); err != nil {
		t.Fatal(err)
	}
	s.wantServer("pg-b")
}

// An address that stays that of two members is not opened: clients would go to the old primary's.
func TestNobodyIsOpenedAtAnAddressThatStaysShared(t *testing.T) {
	same := maps.Clone(apart)
	same["vm-b"] = same["vm-a"]
	onlyNew := maps.Clone(apart)
	delete(onlyNew, "vm-a")
	onlyNew["vm-b"] = []string{"127.0.0.1"}
	for name, test := range map[string]struct {
		here fixedNames
		more []string
		want string
	}{
		"both names stand for it":       {here: same},
		"the old one's name is unknown": {here: onlyNew},
		"the new one's name is unknown": {here: fixedNames{"vm-a": {"127.0.0.1"}}, want: "what vm-b stands for is not known here"},
		"addresses are the router's":    {here: apart, more: []string{"addresses", "keep"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSharing(t, test.here, test.more...)
			err := s.open("pg-b")
			want := "server pg-b of member pg-b and server pg-a of member pg-a are both at 127.0.0.1:" + s.port
			if !errors.Is(err, ErrSharedAddress) || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), test.want) {
				t.Errorf("opened: %v, want %q", err, want)
			}
			s.wantServer("pg-a") // nothing was done
			blocking, warnings := s.problems("pg-b", "pg-a")
			if len(blocking) != 1 || !strings.Contains(blocking[0], "could not be told to send clients to it: two members at one address: "+want) || len(warnings) > 0 {
				t.Errorf("check: blocking %q, warnings %q", blocking, warnings)
			}
			if found := s.astray("pg-b"); strings.Contains(found, "pg-b: ") {
				t.Errorf("a reroute is begun that can't be done: %q", found)
			}
		})
	}
}

// A server by the name of another member is that one's, wherever HAProxy finds it.
func TestAServerByTheNameOfAnotherMemberIsGivenItsOwnAddress(t *testing.T) {
	h := &haproxy{backend: "orders", names: fixedNames{"vm-a": {"10.0.0.1"}, "vm-b": {"10.0.0.2"}}}
	r := Request{Members: []failover.MemberSpec{{Name: "pg-a", Address: "vm-a:5432"}, {Name: "pg-b", Address: "vm-b:5432"}}}
	servers := map[string]serverState{
		"pg-a": {name: "pg-a", address: "10.0.0.1", port: "5432", fqdn: "vm-a"},
		"pg-b": {name: "pg-b", address: "10.0.0.3", port: "5432", fqdn: "vm-a"},
	}
	address, err := h.readdress(t.Context(), r, r.Members[1], servers)
	if err != nil || address.guess || !slices.Contains(address.commands, "set server orders/pg-b addr 10.0.0.2 port 5432") {
		t.Errorf("got %+v, %v", address, err)
	}
	servers["pg-b"] = serverState{name: "pg-b", address: "10.0.0.3", port: "5432", fqdn: "vm-b"}
	if address, err := h.readdress(t.Context(), r, r.Members[1], servers); err != nil || len(address.commands) > 0 {
		t.Errorf("of its own name: %+v, %v", address, err)
	}
	h.names = fixedNames{}
	servers["pg-b"] = serverState{name: "pg-b", address: "10.0.0.3", port: "5432", fqdn: "vm-a"}
	server := Server{Member: "pg-b", Name: "pg-b", Address: "10.0.0.3:5432"}
	h.judgeAddress(t.Context(), r, &server, servers)
	problems := refused(failover.Route{Name: "lb"}, State{Servers: []Server{server}})
	if len(problems) != 1 || problems[0].Warning || !strings.Contains(problems[0].Message, "look up address vm-b:5432") || !strings.Contains(problems[0].Fix, "on this arbiter's machine") {
		t.Errorf("check where the name is unknown: %+v", problems)
	}
}
