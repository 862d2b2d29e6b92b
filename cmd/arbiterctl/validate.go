package main

import (
	"context"
	"errors"
	"strings"

	"github.com/spf13/cobra"

	"github.com/arbiter-ha/arbiter/cmd/arbiterctl/screen"
	"github.com/arbiter-ha/arbiter/config"
	"github.com/arbiter-ha/arbiter/internal/fenceagent"
	arbiterv1 "github.com/arbiter-ha/arbiter/proto/arbiter/v1"
)

func (a *app) validateCommand() *cobra.Command {
	var files []string
	agents := localAgents{described: map[string]localAgent{}}
	cmd := &cobra.Command{
		Use:   "validate FILE...",
		Short: "Check group specs and arbiter files, and say what they mean; needs no arbiter",
		RunE: func(cmd *cobra.Command, args []string) error {
			read, err := a.readFiles(append(files, args...))
			if err != nil {
				return err
			}
			answer := validation{Files: []validated{}}
			for _, file := range read {
				one := a.validate(cmd.Context(), file, &agents)
				answer.Files = append(answer.Files, one)
				answer.Faults += len(one.Faults)
			}
			return a.showValidation(answer)
		},
	}
	addFilesFlag(cmd, &files)
	cmd.Flags().StringSliceVar(&agents.directories, "fence-agents", fenceagent.DefaultDirectories(),
		"folders of fence agents on this machine; those that are there are asked which settings they know")
	return cmd
}

// validation is the answer of validate. As JSON it is a promise to scripts: docs/cli.md.
type validation struct {
	Files  []validated `json:"files"`
	Faults int         `json:"faults"`
}

// validated is what was found in one file, and what it means if nothing is wrong with it.
type validated struct {
	File     string     `json:"file"`
	Kind     string     `json:"kind,omitempty"` // group or arbiter
	Valid    bool       `json:"valid"`
	Faults   []finding  `json:"faults"`
	Warnings []finding  `json:"warnings"`
	Name     string     `json:"name,omitempty"` // of the group or the arbiter
	Worst    []sum      `json:"worst,omitempty"`
	Promised int64      `json:"promised_outage_ms,omitempty"`
	Zones    []zoneLoss `json:"zones,omitempty"`
	Election []election `json:"election,omitempty"`
	// Unchecked says what can't be checked without arbiters, a line for each thing.
	Unchecked []string `json:"unchecked,omitempty"`

	// For people.
	warnings config.Faults
	err      error
	text     string
}

// finding is one fault or warning.
type finding struct {
	Line    int    `json:"line,omitempty"`
	Path    string `json:"path,omitempty"`
	Message string `json:"message"`
}

// sum is how long one kind of fault takes at worst, and how that adds up.
type sum struct {
	Fault        string `json:"fault"`
	Detection    int64  `json:"detection_ms"`
	DetectionSum string `json:"detection_sum"`
	Outage       int64  `json:"outage_ms"`
	OutageSum    string `json:"outage_sum"`
	Undetected   bool   `json:"undetected,omitempty"`
	AfterStart   bool   `json:"after_start,omitempty"` // of everything: no promise is about it
}

// zoneLoss is what goes with a zone, and who may be promoted then.
type zoneLoss struct {
	Zone    string   `json:"zone"`
	Members []string `json:"members"`
	Left    []string `json:"left"`
}

// election is what is added with one timing profile when the arbiter that leads is lost too, in nine of ten cases at most.
type election struct {
	Timing string `json:"timing"`
	Adds   int64  `json:"adds_ms"`
}

// validate reads one file.
func (a *app) validate(ctx context.Context, file specFile, agents *localAgents) validated {
	one := validated{File: file.name, err: file.err}
	switch {
	case file.err != nil:
	case config.IsArbiterFile(file.text):
		one.Kind = "arbiter"
		a.validateArbiter(&one, file)
	default:
		one.Kind = "group"
		a.validateGroup(ctx, &one, file, agents)
	}
	one.Valid, one.Faults, one.Warnings = one.err == nil, faultsOf(one.err), findings(one.warnings)
	return one
}

func (a *app) validateArbiter(one *validated, file specFile) {
	var arbiter *config.ArbiterFile
	if arbiter, one.warnings, one.err = config.ParseArbiterFile(file.name, file.text); one.err == nil {
		one.Unchecked = []string{
			"the files of tls and the data directory (arbiterd --check does that on its machine)",
			"whether the arbiters reach each other (arbiterctl arbiters tells that once they run)",
		}
		one.Name, one.text = arbiter.Node, screen.ArbiterFile(arbiter)+screen.Unchecked("Not checked here:", one.Unchecked)
	}
}

func (a *app) validateGroup(ctx context.Context, one *validated, file specFile, agents *localAgents) {
	var spec *arbiterv1.GroupSpec
	if spec, one.warnings, one.err = agents.load(ctx, file); one.err != nil {
		return
	}
	meaning := config.Meaning(spec)
	one.Unchecked = agents.unchecked(spec)
	one.Name, one.text = spec.Group, screen.Meaning(a.style(), spec.Group, meaning)+
		screen.Unchecked("Not checked here; arbiters do, by arbiterctl check -f FILE:", one.Unchecked)
	one.add(meaning)
}

// add takes over the sums.
func (v *validated) add(meaning config.Report) {
	for _, f := range meaning.Faults {
		v.Worst = append(v.Worst, sum{f.Name, f.Detection.Milliseconds(), f.DetectionSum, f.Outage.Milliseconds(), f.OutageSum, f.Undetected, f.AfterStart})
	}
	v.Promised = meaning.Promised.Milliseconds()
	for _, z := range meaning.Zones {
		v.Zones = append(v.Zones, zoneLoss{z.Zone, z.Members, append([]string{}, z.Left...)})
	}
	for _, timing := range []string{"lan", "wan"} {
		v.Election = append(v.Election, election{timing, meaning.Election[timing].Milliseconds()})
	}
}

func findings(faults config.Faults) []finding {
	list := make([]finding, len(faults))
	for i, f := range faults {
		list[i] = finding{f.Line, f.Path, f.Message}
	}
	return list
}

// faultsOf lists what is wrong with a file, also if it is one thing that has no line.
func faultsOf(err error) []finding {
	var faults config.Faults
	switch {
	case err == nil:
		return []finding{}
	case errors.As(err, &faults):
		return findings(faults)
	}
	return []finding{{Message: err.Error()}}
}

// showValidation prints what was found, and ends with the status of a bad file if there is one.
func (a *app) showValidation(answer validation) error {
	var text strings.Builder
	for _, one := range answer.Files {
		text.WriteString(one.text)
		if a.flags.output == "text" {
			a.warn(one.warnings)
			if one.err != nil {
				a.list(one.err)
			}
		}
	}
	if err := a.showOwn(answer, text.String()); err != nil {
		return err
	}
	if answer.Faults > 0 {
		a.hint("%s.", count(answer.Faults, "fault"))
		return statusError(exitUsage)
	}
	return nil
}
