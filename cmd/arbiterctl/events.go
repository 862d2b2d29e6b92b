package main

import (
	"context"
	"errors"
	"time"

	"github.com/spf13/cobra"

	"github.com/arbiter-ha/arbiter/client"
	"github.com/arbiter-ha/arbiter/cmd/arbiterctl/screen"
	arbiterv1 "github.com/arbiter-ha/arbiter/proto/arbiter/v1"
)

func (a *app) eventsCommand() *cobra.Command {
	var (
		request arbiterv1.WatchEventsRequest
		follow  bool
	)
	cmd := &cobra.Command{
		Use:   "events [GROUP]",
		Short: "What happened, and with --follow what happens, event by event",
		Long: "Prints the events that are kept, the oldest first. With --follow it goes on with new ones as they happen, also\n" +
			"through a change of the arbiter that leads, until it is interrupted. With -o json each event is one line.",
		Args: atMost(1), ValidArgsFunction: a.completeGroups,
		RunE: func(cmd *cobra.Command, args []string) error {
			request.Group = first(args)
			c, err := a.client()
			if err != nil {
				return err
			}
			return a.watch(cmd.Context(), c, &request, follow)
		},
	}
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "go on with new events as they happen")
	cmd.Flags().Uint64Var(&request.After, "after", 0, "only events with a greater sequence number")
	cmd.Flags().BoolVar(&request.FromNow, "from-now", false, "only events from now on (with --follow)")
	return cmd
}

// watch prints events. Without follow it ends when all kept ones were printed.
func (a *app) watch(ctx context.Context, c *client.Client, request *arbiterv1.WatchEventsRequest, follow bool) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	quiet := func() {}
	if !follow {
		// Arbiters of an older release don't say when all kept events were sent; then silence does.
		const silence = 2 * time.Second
		timer := time.AfterFunc(silence, cancel)
		defer timer.Stop()
		quiet = func() { timer.Reset(silence) }
	}
	interrupted, seen := false, false
	for item, err := range c.Watch(ctx, request) {
		quiet()
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
		case item.CaughtUp:
			if err := a.groupOfNoEvents(ctx, c, request.Group, seen); err != nil || !follow {
				return err
			}
		case item.Event != nil:
			interrupted, seen = false, true
			if err := a.printEvent(item.Event); err != nil {
				return err
			}
		}
	}
	return nil
}

// groupOfNoEvents says so where nothing happened to a group because there is none of this name. One that was deleted has events.
func (a *app) groupOfNoEvents(ctx context.Context, c *client.Client, group string, seen bool) error {
	if group == "" || seen {
		return nil
	}
	if _, err := c.GetStatus(ctx, &arbiterv1.GetStatusRequest{Consistency: arbiterv1.Consistency_CONSISTENCY_LINEARIZABLE, Group: group}); errors.Is(err, client.ErrNotFound) {
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
