package main

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/goccy/go-yaml"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// show writes an answer: as JSON or YAML where asked for, else as the given screen.
func (a *app) show(answer proto.Message, screen func() string) error {
	switch a.flags.output {
	case "json", "yaml":
		text, err := encode(answer, a.flags.output)
		if err != nil {
			return err
		}
		return a.print(text)
	}
	return a.print(screen())
}

// encode writes a message with the schema's own names, and with values that are at their default, so that a script finds
// every field. 64-bit numbers are strings in JSON, as protobuf demands.
func encode(answer proto.Message, format string) (string, error) {
	raw, err := protojson.MarshalOptions{UseProtoNames: true, EmitDefaultValues: true}.Marshal(answer)
	if err != nil {
		return "", fmt.Errorf("write the answer as JSON: %w", err)
	}
	var pretty bytes.Buffer
	if err := json.Indent(&pretty, raw, "", "  "); err != nil { // protojson varies its spaces on purpose
		return "", fmt.Errorf("lay out the answer: %w", err)
	}
	if format == "json" {
		return pretty.String() + "\n", nil
	}
	text, err := yaml.JSONToYAML(pretty.Bytes())
	if err != nil {
		return "", fmt.Errorf("write the answer as YAML: %w", err)
	}
	return string(text), nil
}

// compact writes a message as one line of JSON, for streams.
func compact(answer proto.Message) (string, error) {
	raw, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(answer)
	if err != nil {
		return "", fmt.Errorf("write the answer as JSON: %w", err)
	}
	var line bytes.Buffer
	if err := json.Compact(&line, raw); err != nil {
		return "", fmt.Errorf("lay out the answer: %w", err)
	}
	return line.String() + "\n", nil
}
