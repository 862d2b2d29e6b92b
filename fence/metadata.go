//go:build linux

package fence

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"strings"

	"github.com/arbiter-ha/arbiter/failover"
	"github.com/arbiter-ha/arbiter/internal/command"
)

// ErrMetadata says that an agent doesn't describe itself in a way that can be read.
var ErrMetadata = errors.New("the agent's description of itself can't be read")

// metadataLimit bounds what is read of an agent's description, in bytes. The largest known has 40 KiB.
const metadataLimit = 512 << 10

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

// Metadata asks a device's agent to describe itself. No machine is touched and no secret is passed.
func (f *Fencer) Metadata(ctx context.Context, device failover.FenceDevice) (Metadata, error) {
	path, err := f.find(device.Method)
	if err != nil {
		return Metadata{}, err
	}
	result, err := command.Run(ctx, command.Command{
		Path: path, Input: "action=metadata\n", Limit: timeoutOf(device),
		MaxOutput: metadataLimit,
	})
	if err != nil {
		return Metadata{}, fmt.Errorf("ask for metadata: %w", bareCause(err))
	}
	if result.Exit != 0 {
		return Metadata{}, fmt.Errorf("%w: %s", ErrMetadata, summary(result))
	}
	return parseMetadata(result.Stdout.Text)
}

// parseMetadata reads the XML of an agent's description, and tolerates words before and after it.
func parseMetadata(text string) (Metadata, error) {
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

func (m Metadata) offers(action string) bool {
	for _, a := range m.Actions {
		if a.Name == action {
			return true
		}
	}
	return false
}

func (m Metadata) parameter(key string) (Parameter, bool) {
	for _, p := range m.Parameters {
		if plainKey(p.Name) == plainKey(key) {
			return p, true
		}
	}
	return Parameter{}, false
}
