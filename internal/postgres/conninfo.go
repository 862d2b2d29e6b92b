package postgres

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// ErrConnInfo says that a connection string can't be read.
var ErrConnInfo = errors.New("malformed connection string")

// ConnInfo is a libpq connection string as its parameters, in order. A later one replaces an earlier one of the same name,
// as in libpq.
type ConnInfo []ConnParameter

// ConnParameter is one key=value of a connection string.
type ConnParameter struct {
	Key   string
	Value string
}

// ParseConnInfo reads the keyword/value form and the URI form of libpq. Errors never quote the text: it may hold a password.
func ParseConnInfo(text string) (ConnInfo, error) {
	if strings.HasPrefix(text, "postgres://") || strings.HasPrefix(text, "postgresql://") {
		return parseConnURI(text)
	}
	var info ConnInfo
	rest := strings.TrimLeft(text, connInfoSpaces)
	for rest != "" {
		key, after, found := strings.Cut(rest, "=")
		key = strings.TrimRight(key, connInfoSpaces)
		if !found || key == "" || strings.ContainsAny(key, connInfoSpaces) {
			return nil, fmt.Errorf("%w: parameter %d has no \"=\" after its name", ErrConnInfo, len(info)+1)
		}
		value, remaining, err := connInfoValue(strings.TrimLeft(after, connInfoSpaces))
		if err != nil {
			return nil, fmt.Errorf("%w: parameter %q: %w", ErrConnInfo, key, err)
		}
		info = append(info, ConnParameter{Key: key, Value: value})
		rest = strings.TrimLeft(remaining, connInfoSpaces)
	}
	return info, nil
}

const connInfoSpaces = " \t\n\r\v\f"

// connInfoValue reads one value: in single quotes or up to a space, with a backslash before any character that is meant
// literally.
func connInfoValue(text string) (value, rest string, err error) {
	var b strings.Builder
	quoted := strings.HasPrefix(text, "'")
	i := 0
	if quoted {
		i = 1
	}
	for ; i < len(text); i++ {
		c := text[i]
		switch {
		case c == '\\':
			i++
			if i < len(text) {
				b.WriteByte(text[i])
			}
		case quoted && c == '\'':
			return b.String(), text[i+1:], nil
		case !quoted && strings.IndexByte(connInfoSpaces, c) >= 0:
			return b.String(), text[i:], nil
		default:
			b.WriteByte(c)
		}
	}
	if quoted {
		return "", "", errors.New("the quoted value does not end")
	}
	return b.String(), "", nil
}

func parseConnURI(text string) (ConnInfo, error) {
	// The hosts are taken out first: libpq allows several, net/url one.
	scheme, rest, _ := strings.Cut(text, "://")
	end := strings.IndexAny(rest, "/?#")
	if end < 0 {
		end = len(rest)
	}
	at := strings.LastIndexByte(rest[:end], '@') + 1
	u, err := url.Parse(scheme + "://" + rest[:at] + "host" + rest[end:])
	if err != nil {
		// The cause is left out: it quotes the text.
		return nil, fmt.Errorf("%w: the URI can't be read; use the form key=value instead", ErrConnInfo)
	}
	var info ConnInfo
	add := func(key, value string) {
		if value != "" {
			info = append(info, ConnParameter{Key: key, Value: value})
		}
	}
	hosts, ports := uriHosts(rest[at:end])
	add("host", hosts)
	add("port", ports)
	add("user", u.User.Username())
	password, _ := u.User.Password()
	add("password", password)
	add("dbname", strings.TrimPrefix(u.Path, "/"))
	for pair := range strings.SplitSeq(u.RawQuery, "&") {
		key, value, _ := strings.Cut(pair, "=")
		key, keyErr := url.PathUnescape(key)
		value, valueErr := url.PathUnescape(value)
		if err := errors.Join(keyErr, valueErr); err != nil {
			return nil, fmt.Errorf("%w: a parameter of the URI can't be read; use the form key=value instead", ErrConnInfo)
		}
		if key == "ssl" && value == "true" {
			key, value = "sslmode", "require"
		}
		add(key, value)
	}
	return info, nil
}

// uriHosts splits "a:1,[::1]:2,c" into the lists that libpq's host and port take: "a,::1,c" and "1,2,". A list of ports
// that says nothing is left out.
func uriHosts(text string) (hosts, ports string) {
	var hostList, portList []string
	for part := range strings.SplitSeq(text, ",") {
		one := url.URL{Host: part}
		hostList = append(hostList, one.Hostname())
		portList = append(portList, one.Port())
	}
	hosts, ports = strings.Join(hostList, ","), strings.Join(portList, ",")
	if strings.Trim(ports, ",") == "" {
		ports = ""
	}
	return hosts, ports
}

// Get returns the value that counts for a key.
func (c ConnInfo) Get(key string) (string, bool) {
	for i := len(c) - 1; i >= 0; i-- {
		if c[i].Key == key {
			return c[i].Value, true
		}
	}
	return "", false
}

// With returns a copy in which key has this value, at the place where it was or at the end.
func (c ConnInfo) With(key, value string) ConnInfo {
	changed := make(ConnInfo, 0, len(c)+1)
	done := false
	for _, p := range c {
		if p.Key != key {
			changed = append(changed, p)
		} else if !done {
			changed = append(changed, ConnParameter{Key: key, Value: value})
			done = true
		}
	}
	if !done {
		changed = append(changed, ConnParameter{Key: key, Value: value})
	}
	return changed
}

// Without returns a copy that lacks these keys.
func (c ConnInfo) Without(keys ...string) ConnInfo {
	var changed ConnInfo
	for _, p := range c {
		keep := true
		for _, key := range keys {
			keep = keep && p.Key != key
		}
		if keep {
			changed = append(changed, p)
		}
	}
	return changed
}

// String writes the keyword/value form that libpq reads, with every value quoted that needs it. It may hold a password.
func (c ConnInfo) String() string {
	var b strings.Builder
	for i, p := range c {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(p.Key)
		b.WriteByte('=')
		b.WriteString(quoteConnValue(p.Value))
	}
	return b.String()
}

func quoteConnValue(value string) string {
	if value != "" && !strings.ContainsAny(value, connInfoSpaces+`'\`) {
		return value
	}
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(value) + "'"
}
