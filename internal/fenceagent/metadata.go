package fenceagent

import (
	"encoding/xml"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/arbiter-ha/arbiter/internal/fencesettings"
	"github.com/arbiter-ha/arbiter/internal/keys"
)

// ErrMetadata says that an agent doesn't describe itself in a way that can be read.
var ErrMetadata = errors.New("the agent's description of itself can't be read")

// FailedError says that an agent failed instead of describing itself. It is an ErrMetadata.
type FailedError struct {
	Exit           int
	Stdout, Stderr string
}

// Error names the exit status; what the agent said is for the caller to choose from.
func (e *FailedError) Error() string { return fmt.Sprintf("%v: exit status %d", ErrMetadata, e.Exit) }

// Is makes errors.Is(err, ErrMetadata) true.
func (e *FailedError) Is(target error) bool { return target == ErrMetadata }

// Undescribed says in words for people what an ErrMetadata means.
func Undescribed(err error) string {
	return fmt.Sprintf("nobody can tell what it does and what its answers mean: %v", err)
}

// Metadata is what an agent says of itself.
type Metadata struct {
	Name       string      `xml:"name,attr"`
	Short      string      `xml:"shortdesc,attr"`
	Parameters []Parameter `xml:"parameters>parameter"`
	Actions    []struct {
		Name string `xml:"name,attr"`
	} `xml:"actions>action"`
}

// Parameter is one setting that an agent knows.
type Parameter struct {
	Name       string `xml:"name,attr"`
	Required   string `xml:"required,attr"`  // "1" if it must be there
	Obsoletes  string `xml:"obsoletes,attr"` // an older name of the same
	Deprecated string `xml:"deprecated,attr"`
	Content    struct {
		Type    string `xml:"type,attr"`
		Default string `xml:"default,attr"`
		Options []struct {
			Value string `xml:"value,attr"`
		} `xml:"option"`
	} `xml:"content"`
}

// Parse reads the XML of an agent's description, and tolerates words before and after it.
func Parse(text string) (Metadata, error) {
	begin := strings.Index(text, "<resource-agent")
	if begin < 0 {
		return Metadata{}, fmt.Errorf("%w: no <resource-agent> in it", ErrMetadata)
	}
	var m Metadata
	if err := xml.NewDecoder(strings.NewReader(text[begin:])).Decode(&m); err != nil {
		return Metadata{}, fmt.Errorf("%w: %w", ErrMetadata, err)
	}
	return m, nil
}

// Offers says whether the agent has an action.
func (m Metadata) Offers(action string) bool {
	for _, a := range m.Actions {
		if a.Name == action {
			return true
		}
	}
	return false
}

// Lacks says which actions the agent lacks of those that a proof rests on, a sentence for each.
func (m Metadata) Lacks() []string {
	var lacks []string
	for _, action := range []string{"off", "status"} {
		if !m.Offers(action) {
			lacks = append(lacks, fmt.Sprintf("%s does not offer the action %q, so it can prove nothing", m.Name, action))
		}
	}
	return lacks
}

// Parameter returns the setting of this name, in either spelling: agents take user-domain for user_domain.
func (m Metadata) Parameter(key string) (Parameter, bool) {
	for _, p := range m.Parameters {
		if underscored(p.Name) == underscored(key) {
			return p, true
		}
	}
	return Parameter{}, false
}

func underscored(key string) string { return strings.ReplaceAll(key, "-", "_") }

// always are settings that need not be in a description: Arbiter's own, those that it says something of its own about, and
// those by which the API lets every agent be told which machine is meant.
var always = []string{fencesettings.ExpectName, fencesettings.Proof, "action", "option", "plug", "port", "nodename"}

// usualWords are what people call settings that agents have other names for.
var usualWords = map[string]string{
	"address": "ip", "host": "ip", "hostname": "ip", "user": "username", "outlet": "plug",
}

// Unknown says what is wrong with a setting's name, or nothing. An agent itself only mutters about a name that it doesn't know, and
// goes on without.
func (m Metadata) Unknown(key string) string {
	if _, known := m.Parameter(key); known || slices.Contains(always, key) || m.obsolete(key) {
		return ""
	}
	if meant := m.meant(key); meant != "" {
		return fmt.Sprintf("%s does not know the setting %q; did you mean %q?", m.Name, key, meant)
	}
	return fmt.Sprintf("%s does not know the setting %q; `%s -o metadata` lists those that it knows", m.Name, key, m.Name)
}

func (m Metadata) obsolete(key string) bool {
	return slices.ContainsFunc(m.Parameters, func(p Parameter) bool { return p.Obsoletes != "" && underscored(p.Obsoletes) == underscored(key) })
}

// meant is the setting that a name most likely stands for, or nothing.
func (m Metadata) meant(key string) string {
	called := map[string]string{}
	for word, name := range usualWords {
		if _, known := m.Parameter(name); known {
			called[word] = name
		}
	}
	for _, p := range m.Parameters {
		if p.Deprecated != "1" {
			called[strings.ToLower(underscored(p.Name))] = p.Name
		}
	}
	words := make([]string, 0, len(called))
	for word := range called {
		words = append(words, word)
	}
	slices.Sort(words)
	return called[keys.Nearest(strings.ToLower(underscored(key)), words)]
}
