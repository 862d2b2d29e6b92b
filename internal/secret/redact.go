package secret

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// Mark stands where a secret was.
const Mark = "[redacted]"

// Redactor removes a set of secrets from texts. The zero value removes nothing.
type Redactor struct {
	replacer *strings.Replacer
	longest  int // bytes of the longest form of a secret
}

// NewRedactor returns a Redactor for these secrets; empty ones are ignored.
func NewRedactor(secrets ...string) Redactor {
	var forms []string
	for _, s := range secrets {
		forms = append(forms, formsOf(s)...)
	}
	slices.SortFunc(forms, longestFirst)
	forms = slices.Compact(forms)
	if len(forms) == 0 {
		return Redactor{}
	}
	pairs := make([]string, 0, 2*len(forms))
	for _, form := range forms {
		pairs = append(pairs, form, Mark)
	}
	return Redactor{replacer: strings.NewReplacer(pairs...), longest: len(forms[0])}
}

// longestFirst orders texts by falling length, so that a secret that contains another one goes as a whole.
func longestFirst(a, b string) int {
	if len(a) != len(b) {
		return len(b) - len(a)
	}
	return strings.Compare(a, b)
}

// Redact returns the text without the secrets.
func (r Redactor) Redact(text string) string {
	if r.replacer == nil {
		return text
	}
	return r.replacer.Replace(text)
}

// RedactCut is Redact for a text whose end was cut off somewhere: the end could be the beginning of a secret, so as much as the
// longest secret may fill is dropped too.
func (r Redactor) RedactCut(text string) string {
	if r.replacer == nil {
		return text
	}
	// Whole secrets go first, so that dropping the end cannot cut one of them in two.
	text = r.Redact(text)
	if r.longest > 1 {
		text = text[:max(0, len(text)-(r.longest-1))]
	}
	return text
}

// Error returns an error with the same meaning for errors.Is whose text has no secrets.
func (r Redactor) Error(err error) error {
	if err == nil || r.replacer == nil {
		return err
	}
	text := r.Redact(err.Error())
	if text == err.Error() {
		return err
	}
	return &redactedError{text: text, cause: err}
}

type redactedError struct {
	text  string
	cause error
}

func (e *redactedError) Error() string { return e.text }

// Is keeps sentinel errors recognisable without handing out the cause, whose text has the secret.
func (e *redactedError) Is(target error) bool { return errors.Is(e.cause, target) }

// formsOf lists the ways in which programs print a secret: as it is, line by line, and escaped for the places where they
// put it.
func formsOf(s string) []string {
	forms := []string{s}
	for _, line := range strings.Split(s, "\n") {
		forms = append(forms, strings.TrimSuffix(line, "\r"))
	}
	if quoted, err := json.Marshal(s); err == nil {
		forms = append(forms, strings.Trim(string(quoted), `"`))
	}
	var escaped strings.Builder
	if xml.EscapeText(&escaped, []byte(s)) == nil {
		forms = append(forms, escaped.String())
	}
	quoted := fmt.Sprintf("%q", s)
	forms = append(forms, quoted[1:len(quoted)-1],
		strings.ReplaceAll(s, `'`, `'"'"'`),                             // a shell's quoting, as Python does it
		strings.ReplaceAll(s, `'`, `'\''`),                              // a shell's quoting, as people do it
		strings.ReplaceAll(strings.ReplaceAll(s, `\`, `\\`), `'`, `\'`), // Python's repr
		url.QueryEscape(s), url.PathEscape(s))
	if len(s) > 3 { // shorter ones would take harmless text away in these forms
		forms = append(forms, base64.StdEncoding.EncodeToString([]byte(s)),
			strings.TrimRight(base64.URLEncoding.EncodeToString([]byte(s)), "="), hex.EncodeToString([]byte(s)))
	}
	return slices.DeleteFunc(forms, func(form string) bool { return form == "" })
}
