package route

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"

	"github.com/arbiter-ha/arbiter/failover"
)

// addressOf is where a member's clients are to be sent.
func (h *haproxy) addressOf(member failover.MemberSpec) string {
	return cmp.Or(h.address[member.Name], member.Address)
}

// nameOf is the name by which a member's clients are sent to it, empty if that is an IP address or the router's affair.
func (h *haproxy) nameOf(member failover.MemberSpec) string {
	host, _, err := net.SplitHostPort(h.addressOf(member))
	if _, noIP := netip.ParseAddr(host); h.keep || err != nil || noIP == nil {
		return ""
	}
	return host
}

// place is where a server sends clients.
type place struct {
	ip   netip.Addr
	port string
}

func (s serverState) place() place { return place{s.ip(), s.port} }

func (p place) String() string { return net.JoinHostPort(p.ip.String(), p.port) }

// readdressing is what Open does to the address of a member's server.
type readdressing struct {
	commands []string // none if the server is to keep the one that it has
	// guess means that the present address is another member's server's too, and that it isn't known whose it is.
	guess bool
}

// judgeAddress says of a member's server whether its address is right, as far as that is known here.
func (h *haproxy) judgeAddress(ctx context.Context, r Request, server *Server, servers map[string]serverState) {
	present := servers[server.Name]
	if present.admin&adminNoAddress != 0 {
		return // HAProxy 2.6 lets no command give it its first one
	}
	member, _ := r.member(server.Member)
	server.Host = h.nameOf(member)
	if others := h.sharers(r, member.Name, present.place(), servers); len(others) > 0 {
		server.Shared = others[0].Name
	}
	address, err := h.readdress(ctx, r, member, servers)
	server.Refused = err
	if len(address.commands) > 0 && !address.guess {
		server.Wanted = h.addressOf(member)
	}
}

// readdress is what gives a server the member's address. Sessions with the old address are ended: it may be that of another machine.
func (h *haproxy) readdress(ctx context.Context, r Request, member failover.MemberSpec, servers map[string]serverState) (readdressing, error) {
	present := servers[h.serverOf(member.Name)]
	if h.keep {
		return readdressing{}, h.alone(ctx, r, member.Name, present.place(), servers)
	}
	want := h.addressOf(member)
	host, port, err := net.SplitHostPort(want)
	if err != nil {
		return readdressing{}, fmt.Errorf("%w: address %q of member %s is not host:port", ErrBadSetting, want, member.Name)
	}
	if present.port == port && present.fqdn == host && !present.ip().IsValid() {
		return readdressing{}, nil // HAProxy looks the name up itself
	}
	ip, guess, err := h.wantedIP(ctx, r, member.Name, host, port, servers)
	if err != nil {
		return readdressing{}, err
	}
	if present.place() == (place{ip, port}) {
		return readdressing{}, nil
	}
	server := h.backend + "/" + present.name
	return readdressing{guess: guess, commands: []string{
		"set server " + server + " state maint", "shutdown sessions server " + server,
		"set server " + server + " addr " + ip.String() + " port " + port,
	}}, nil
}

// wantedIP is the IP address that the server of a member is to have. A name may stand for another one where the router is than where this arbiter is
// (/etc/hosts, a name server that answers each network otherwise), so HAProxy's own stays unless it can't be the member's, or is another member's too.
func (h *haproxy) wantedIP(
	ctx context.Context, r Request, member failover.MemberName, host, port string, servers map[string]serverState,
) (ip netip.Addr, guess bool, err error) {
	if ip, err := netip.ParseAddr(host); err == nil {
		return ip.Unmap(), false, nil
	}
	present := servers[h.serverOf(member)]
	after := place{present.ip(), port} // if its IP address stays
	others := append(h.sharers(r, member, present.place(), servers), h.sharers(r, member, after, servers)...)
	certain := !present.ip().IsValid() || h.atAnother(r, member, host, present) || h.givenToAnother(r, member, after)
	if !certain && len(others) == 0 {
		return present.ip(), false, nil
	}
	ips, err := h.lookUpForRouter(ctx, host)
	switch {
	case err != nil && len(others) > 0:
		return ip, false, fmt.Errorf("%w, and what %s stands for is not known here: %w", h.sharing(member, others[0].Name, present.place()), host, err)
	case err != nil:
		return ip, false, fmt.Errorf("%w: look up address %s of member %s: %w", ErrBadSetting, net.JoinHostPort(host, port), member, err)
	}
	ip = ips[0]
	if slices.Contains(ips, present.ip()) {
		ip = present.ip()
	}
	if !certain && present.port == port {
		theirs, _ := h.isPlaceOf(ctx, others[0], after)
		guess = !theirs
	}
	return ip, guess, h.alone(ctx, r, member, place{ip, port}, servers)
}

// lookUpForRouter returns the addresses of a name that may be of use where the router is; there is at least one.
func (h *haproxy) lookUpForRouter(ctx context.Context, host string) ([]netip.Addr, error) {
	ips, err := lookUp(ctx, h.names, host)
	if err != nil {
		return nil, err
	}
	if !h.socket.local() {
		ips = slices.DeleteFunc(ips, netip.Addr.IsLoopback)
	}
	if len(ips) == 0 {
		return nil, errors.New("here it stands for this machine, and the router is on another one: use an IP address")
	}
	return ips, nil
}

// atAnother says whether a member's server is that of another member by what the spec says of the two.
func (h *haproxy) atAnother(r Request, member failover.MemberName, host string, present serverState) bool {
	return h.givenToAnother(r, member, present.place()) || present.fqdn != host && slices.ContainsFunc(r.Members, func(other failover.MemberSpec) bool {
		return other.Name != member && h.addressOf(other) == net.JoinHostPort(present.fqdn, present.port)
	})
}

// givenToAnother says whether the spec gives a place to another member as IP:port. Those that are given by name are not compared: what a name stands
// for is known for this machine only.
func (h *haproxy) givenToAnother(r Request, member failover.MemberName, p place) bool {
	return slices.ContainsFunc(r.Members, func(other failover.MemberSpec) bool {
		host, port, err := net.SplitHostPort(h.addressOf(other))
		ip, noIP := netip.ParseAddr(host)
		return other.Name != member && err == nil && noIP == nil && place{ip.Unmap(), port} == p
	})
}

// sharers are the other members whose servers HAProxy has at a place. Where there is one, that is wrong for one of the two, whatever their names stand for.
func (h *haproxy) sharers(r Request, member failover.MemberName, p place, servers map[string]serverState) (others []failover.MemberSpec) {
	for _, other := range r.Members {
		if s, found := servers[h.serverOf(other.Name)]; found && other.Name != member && p.ip.IsValid() && s.place() == p {
			others = append(others, other)
		}
	}
	return others
}

// alone refuses a place for a member's server if that of another member is there as well, unless it is known that the other one belongs elsewhere.
func (h *haproxy) alone(ctx context.Context, r Request, member failover.MemberName, p place, servers map[string]serverState) error {
	for _, other := range h.sharers(r, member, p, servers) {
		if theirs, known := h.isPlaceOf(ctx, other, p); theirs || !known {
			return h.sharing(member, other.Name, p)
		}
	}
	return nil
}

// isPlaceOf says whether a member is to be reached at a place, as far as that is known here.
func (h *haproxy) isPlaceOf(ctx context.Context, member failover.MemberSpec, p place) (is, known bool) {
	host, port, err := net.SplitHostPort(h.addressOf(member))
	if err != nil || h.keep {
		return false, false // where the router is to have addresses of its own, the spec's say nothing
	}
	if port != p.port {
		return false, true
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		return ip.Unmap() == p.ip, true
	}
	ips, err := lookUp(ctx, h.names, host)
	return slices.Contains(ips, p.ip), err == nil
}

// sharing is the error of two members whose servers are at one place.
func (h *haproxy) sharing(member, other failover.MemberName, p place) error {
	return fmt.Errorf("%w: server %s of member %s and server %s of member %s are both at %s; mend the line of the one that belongs elsewhere in HAProxy, "+
		"or give both members IP addresses in the spec (address.MEMBER in the route, where HAProxy reaches them by others)",
		ErrSharedAddress, h.serverOf(member), member, h.serverOf(other), other, p)
}
