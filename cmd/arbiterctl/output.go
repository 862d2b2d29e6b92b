package main

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/goccy/go-yaml"
	"github.com/spf13/cobra"
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

// showOwn writes an answer that arbiterctl gives by itself, without the arbiters: as JSON or YAML where asked for, else as the given text.
func (a *app) showOwn(answer any, text string) error {
	if a.flags.output == "text" {
		return a.print(text)
	}
	raw, err := json.Marshal(answer)
	if err != nil {
		return fmt.Errorf("write the answer as JSON: %w", err)
	}
	text, err = layOut(raw, a.flags.output)
	if err != nil {
		return err
	}
	return a.print(text)
}

// prints marks a command whose answer is a file in a format of its own: asked for JSON it refuses, instead of giving a script something else.
func prints(format string, cmd *cobra.Command) *cobra.Command {
	cmd.Annotations = map[string]string{formatMark: format}
	return cmd
}

const formatMark = "format"

// checkFormat refuses --output where the answer has a format of its own.
func (a *app) checkFormat(cmd *cobra.Command) error {
	if format := cmd.Annotations[formatMark]; format != "" && a.flags.output != "text" {
		return usage("%s prints %s, which is a format of its own: leave --output %s out", cmd.CommandPath(), format, a.flags.output)
	}
	return nil
}

// schemaNames writes a message with the schema's own names, and with values that are at their default, so that a script finds
// every field. 64-bit numbers are strings in JSON, as protobuf demands.
var schemaNames = protojson.MarshalOptions{UseProtoNames: true, EmitDefaultValues: true}

// encode writes a message as JSON or YAML.
func encode(answer proto.Message, format string) (string, error) {
	raw, err := schemaNames.Marshal(answer)
	if err != nil {
		return "", fmt.Errorf("write the answer as JSON: %w", err)
	}
	return layOut(raw, format)
}

// layOut writes JSON so that people can read it too, or as YAML.
func layOut(raw []byte, format string) (string, error) {
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
	raw, err := schemaNames.Marshal(answer)
	if err != nil {
		return "", fmt.Errorf("write the answer as JSON: %w", err)
	}
	var line bytes.Buffer
	if err := json.Compact(&line, raw); err != nil {
		return "", fmt.Errorf("lay out the answer: %w", err)
	}
	return line.String() + "\n", nil
}
