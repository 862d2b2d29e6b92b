package main

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"github.com/arbiter-ha/arbiter/client"
	"github.com/arbiter-ha/arbiter/cmd/arbiterctl/screen"
	arbiterv1 "github.com/arbiter-ha/arbiter/proto/arbiter/v1"
)

func (a *app) eventsCommand() *cobra.Command {
	var (
		reading reading
		request arbiterv1.WatchEventsRequest
		follow  bool
	)
	cmd := &cobra.Command{
		Use:   "events [GROUP]",
		Short: "What happened, and with --follow what happens, event by event",
		Long: "Prints the events that are kept, the oldest first. With --follow it goes on with new ones as they happen, also\n" +
			"through a change of the arbiter that leads, until it is interrupted. With -o json each event is one line. Where events\n" +
			"between --after, or what was printed, and the next one are no longer kept, a line on standard error says so.",
		Args: atMost(1), ValidArgsFunction: a.completeGroups,
		RunE: func(cmd *cobra.Command, args []string) error {
			request.Group, request.Consistency = first(args), reading.consistency()
			c, err := a.client()
			if err != nil {
				return err
			}
			return a.watch(cmd.Context(), c, &request, follow)
		},
	}
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "go on with new events as they happen")
	cmd.Flags().Uint64Var(&request.After, "after", 0, "only events with a greater sequence number")
	reading.addFlag(cmd)
	cmd.Flags().BoolVar(&request.FromNow, "from-now", false, "only events from now on (with --follow)")
	return cmd
}

// watch prints events. Without follow it ends when all kept ones were printed.
func (a *app) watch(ctx context.Context, c *client.Client, request *arbiterv1.WatchEventsRequest, follow bool) error {
	interrupted, seen := false, false
	for item, err := range c.Watch(ctx, request) {
		switch {
		case err != nil:
			return err
		case item.Interrupted != nil && !follow:
			return item.Interrupted
		case item.Interrupted != nil:
			if !interrupted {
				a.hint("no events at the moment, still trying: %v", item.Interrupted)
			}
			interrupted = true
		case item.From != nil:
			interrupted = false
			a.sayStale(item.From)
		case item.Gap != nil:
			a.hint("events %d to %d are missing: the arbiter that answers no longer keeps them; see arbiterctl history", item.Gap.After+1, item.Gap.Oldest-1)
		case item.CaughtUp:
			if err := a.groupOfNoEvents(ctx, c, request, seen); err != nil || !follow {
				return err
			}
		case item.Event != nil:
			seen = true
			if err := a.printEvent(item.Event); err != nil {
				return err
			}
		}
	}
	return nil
}

// sayStale labels events that don't come from the arbiter that leads.
func (a *app) sayStale(from *arbiterv1.Freshness) {
	if !from.GetLinearizable() {
		a.hint("from %s, stale: if it is cut off from the others, what they do is not here", from.GetNode())
	}
}

// groupOfNoEvents says so where nothing happened to a group because there is none of this name. One that was deleted has events.
func (a *app) groupOfNoEvents(ctx context.Context, c *client.Client, request *arbiterv1.WatchEventsRequest, seen bool) error {
	if request.Group == "" || seen {
		return nil
	}
	if _, err := c.GetStatus(ctx, &arbiterv1.GetStatusRequest{Consistency: request.Consistency, Group: request.Group}); errors.Is(err, client.ErrNotFound) {
		return err
	}
	return nil // it is there, or nobody can say now: the events were the question
}

func (a *app) printEvent(event *arbiterv1.Event) error {
	if a.flags.output == "text" {
		return a.print(screen.Event(a.style(), event) + "\n")
	}
	if a.flags.output == "yaml" {
		text, err := encode(event, "yaml")
		if err != nil {
			return err
		}
		return a.print("---\n" + text)
	}
	line, err := compact(event)
	if err != nil {
		return err
	}
	return a.print(line)
}
