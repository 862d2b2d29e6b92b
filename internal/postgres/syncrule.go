package postgres

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/arbiter-ha/arbiter/failover"
)

// ErrSyncRule says that a value of synchronous_standby_names can't be read.
var ErrSyncRule = errors.New("malformed synchronous_standby_names")

// ParseSyncRule reads a value of synchronous_standby_names in every form that PostgreSQL takes (9.1 to 18):
//
//	""                      nobody needs to confirm: the zero rule
//	a, b                    FIRST 1
//	2 (a, b, c)             FIRST 2 (as PostgreSQL 9.6 wrote it)
//	FIRST 2 (a, b, c)
//	ANY 2 (a, "b b", *)
//
// Names are kept as they are written; PostgreSQL compares them without regard to case. A rule with a "*" anywhere in its
// list names nobody in particular, and its Names are {"*"}.
func ParseSyncRule(text string) (failover.SyncRule, error) {
	tokens, err := syncRuleTokens(text)
	if err != nil {
		return failover.SyncRule{}, err
	}
	if len(tokens) == 0 {
		return failover.SyncRule{}, nil
	}
	need, names := 1, tokens
	if head, list, found := cutParenthesis(tokens); found {
		if need, err = syncRuleNeed(head); err != nil {
			return failover.SyncRule{}, err
		}
		names = list
	}
	return syncRuleOf(need, names)
}

// syncToken is a name, a number or one of the characters "(),*".
type syncToken struct {
	text  string
	plain bool // not in double quotes: may be a keyword, a number or punctuation
}

func (t syncToken) is(word string) bool { return t.plain && strings.EqualFold(t.text, word) }

func syncRuleTokens(text string) ([]syncToken, error) {
	var tokens []syncToken
	for i := 0; i < len(text); {
		c := text[i]
		switch {
		case strings.IndexByte(connInfoSpaces, c) >= 0:
			i++
		case strings.IndexByte("(),*", c) >= 0:
			tokens = append(tokens, syncToken{text: string(c), plain: true})
			i++
		case c == '"':
			name, length, err := quotedName(text[i:])
			if err != nil {
				return nil, err
			}
			tokens = append(tokens, syncToken{text: name})
			i += length
		case isNameByte(c):
			end := i
			for end < len(text) && isNameByte(text[end]) {
				end++
			}
			tokens = append(tokens, syncToken{text: text[i:end], plain: true})
			i = end
		default:
			return nil, fmt.Errorf("%w: unexpected %q; put the name in double quotes", ErrSyncRule, string(c))
		}
	}
	return tokens, nil
}

func isNameByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '$' || c >= 0x80
}

// quotedName reads a name in double quotes, in which a doubled quote stands for one, and returns how many bytes it took.
func quotedName(text string) (name string, length int, err error) {
	var b strings.Builder
	for i := 1; i < len(text); i++ {
		if text[i] != '"' {
			b.WriteByte(text[i])
			continue
		}
		if i+1 < len(text) && text[i+1] == '"' {
			b.WriteByte('"')
			i++
			continue
		}
		return b.String(), i + 1, nil
	}
	return "", 0, fmt.Errorf("%w: a quoted name does not end", ErrSyncRule)
}

// cutParenthesis splits "HEAD ( LIST )".
func cutParenthesis(tokens []syncToken) (head, list []syncToken, found bool) {
	last := len(tokens) - 1
	for i, t := range tokens {
		if t.is("(") {
			if !tokens[last].is(")") {
				return nil, nil, false
			}
			return tokens[:i], tokens[i+1 : last], true
		}
	}
	return nil, nil, false
}

// syncRuleNeed reads what stands before the list: N, FIRST N or ANY N.
func syncRuleNeed(head []syncToken) (int, error) {
	if len(head) == 2 && (head[0].is("FIRST") || head[0].is("ANY")) {
		head = head[1:]
	}
	if len(head) == 1 && head[0].plain {
		if n, err := strconv.Atoi(head[0].text); err == nil && n > 0 {
			return n, nil
		}
	}
	return 0, fmt.Errorf("%w: want FIRST or ANY and a number above 0 before the list", ErrSyncRule)
}

func syncRuleOf(need int, list []syncToken) (failover.SyncRule, error) {
	var names []string
	anybody := false
	for i, t := range list {
		separator := i%2 == 1
		if separator != t.is(",") || t.is("(") || t.is(")") || t.is("FIRST") || t.is("ANY") {
			return failover.SyncRule{}, fmt.Errorf("%w: unexpected %q in the list of names", ErrSyncRule, t.text)
		}
		if !separator {
			names = append(names, t.text)
			anybody = anybody || t.is("*")
		}
	}
	if len(list)%2 == 0 {
		return failover.SyncRule{}, fmt.Errorf("%w: the list of names is empty or ends with a comma", ErrSyncRule)
	}
	if anybody {
		names = []string{"*"}
	}
	return failover.SyncRule{Need: need, Names: names}, nil
}
