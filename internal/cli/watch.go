package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	v1 "github.com/esos-project/esos/internal/api/v1"
	"github.com/esos-project/esos/internal/client"
	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/engine"
)

// asking makes the work of a command that asks the array one thing.
func (a *app) asking(ask func(ctx context.Context, c *client.Client, args []string) error) func(*cobra.Command, []string) error {
	return func(c *cobra.Command, args []string) error {
		cl, err := a.connect()
		if err != nil {
			return err
		}
		defer cl.Close()
		return ask(c.Context(), cl, args)
	}
}

func (a *app) status() *cobra.Command {
	return &cobra.Command{
		Use: "status", Short: "Show the array at a glance", Args: cobra.NoArgs,
		Long: "Show the array at a glance: what it serves, and what is wrong. 'degraded' means that\nwhat is served differs from what the document declares; it says how. 'By hand' is\nwhat somebody changed, which is left as it is ('esos drift').",
		RunE: a.asking(func(ctx context.Context, c *client.Client, _ []string) error {
			s, err := c.Status(ctx)
			if err != nil {
				return err
			}
			// As of now; the array itself looks every few minutes.
			p, err := c.Drift(ctx)
			if err != nil {
				return err
			}
			s.Drift = nil
			for _, d := range p.Drift {
				s.Drift = append(s.Drift, d.Object+": "+d.Message)
			}
			return a.print(s, func(t *table) {
				t.pair("Array", s.Name)
				t.pair("State", s.State)
				for _, x := range s.Alerts {
					t.pair("Alert", x.Severity+": "+x.Message)
				}
				for _, p := range s.Problems {
					t.pair("Problem", p)
				}
				for _, d := range s.Drift {
					t.pair("By hand", d)
				}
				if u := s.Unconfirmed; u != nil {
					t.pair("Network", fmt.Sprintf("revision %d changed it; undone in %d s unless: esos network confirm", u.Revision, secondsLeft(u.Deadline)))
				}
				t.pair("Devices", s.Devices)
				t.pair("Targets", s.Targets)
				t.pair("LUNs", s.LUNs)
				t.pair("Sessions", s.Sessions)
				t.pair("Portals", strings.Join(s.Portals, ", "))
				if s.Revision.Number > 0 {
					t.pair("Revision", fmt.Sprintf("%d, %s by %s", s.Revision.Number, when(s.Revision.When), s.Revision.Who))
				}
				t.pair("Engine", s.Engine)
				t.pair("API", s.API)
				t.pair("Fingerprint", s.Fingerprint)
				t.pair("Version", s.Version)
				t.pair("Up since", when(s.Started))
			})
		}),
	}
}

func (a *app) session() *cobra.Command {
	c := &cobra.Command{Use: "session", Aliases: []string{"sessions"}, Short: "Initiators that are logged in"}
	list := &cobra.Command{
		Use: "list", Short: "List the sessions", Args: cobra.NoArgs,
		RunE: a.asking(func(ctx context.Context, c *client.Client, _ []string) error {
			all, err := c.Sessions(ctx)
			if err != nil {
				return err
			}
			return a.print(all, func(t *table) {
				t.head("id", "initiator", "address", "target", "group", "luns", "active", "read", "written", "since")
				for _, s := range all {
					group := s.Group
					if group == "" {
						group = "(default)"
					}
					t.row(s.ID, s.Initiator, s.Address, s.Target, group, s.LUNs, s.Active,
						bytesText(s.Counters.ReadBytes), bytesText(s.Counters.WriteBytes), when(s.Since))
				}
			})
		}),
	}
	closing := &cobra.Command{
		Use: "close SESSION...", Short: "Log initiators out", Args: cobra.MinimumNArgs(1),
		Long: "Log initiators out. They may log in again at once; to keep one out, remove it from its\ngroup or disable the target.",
		RunE: a.asking(func(ctx context.Context, c *client.Client, args []string) error {
			for _, id := range args {
				if err := c.CloseSession(ctx, id); err != nil {
					return err
				}
			}
			return nil
		}),
	}
	c.AddCommand(list, closing)
	return c
}

func bytesText(n uint64) string { return config.Size(min(n, 1<<62)).Human() }

func (a *app) statistics() *cobra.Command {
	return &cobra.Command{
		Use: "statistics", Aliases: []string{"stats"}, Short: "Show what each LUN did since it came up", Args: cobra.NoArgs,
		RunE: a.asking(func(ctx context.Context, c *client.Client, _ []string) error {
			s, err := c.Statistics(ctx)
			if err != nil {
				return err
			}
			return a.print(s, func(t *table) {
				t.head("target", "group", "lun", "device", "reads", "read", "writes", "written", "errors", "read avg", "write avg")
				for _, l := range s.LUNs {
					group := l.Group
					if group == "" {
						group = "(default)"
					}
					n := l.Counters
					t.row(l.Target, group, l.LUN, l.Device, n.Reads, bytesText(n.ReadBytes), n.Writes, bytesText(n.WriteBytes), n.Errors,
						average(n.ReadLatency, n.Reads), average(n.WriteLatency, n.Writes))
				}
			})
		}),
	}
}

func average(h engine.Histogram, n uint64) string {
	if n == 0 {
		return ""
	}
	return (h.Sum / time.Duration(n)).Round(time.Microsecond).String()
}

func (a *app) operation() *cobra.Command {
	c := &cobra.Command{Use: "operation", Aliases: []string{"operations"}, Short: "Changes that were begun, and how far they are"}
	list := &cobra.Command{
		Use: "list", Short: "List the latest operations", Args: cobra.NoArgs,
		RunE: a.asking(func(ctx context.Context, c *client.Client, _ []string) error {
			all, err := c.Operations(ctx)
			if err != nil {
				return err
			}
			return a.print(all, func(t *table) {
				t.head("id", "state", "steps", "who", "started", "why")
				for _, o := range all {
					t.row(o.ID, o.State, fmt.Sprintf("%d/%d", o.Done, len(o.Steps)), o.Who, when(o.Started), o.Why)
				}
			})
		}),
	}
	show := &cobra.Command{
		Use: "show OPERATION", Short: "Show an operation and its steps", Args: cobra.ExactArgs(1),
		RunE: a.asking(func(ctx context.Context, c *client.Client, args []string) error {
			o, _, err := c.Operation(ctx, args[0], 0, "")
			if err != nil {
				return err
			}
			return a.print(o, func(t *table) {
				t.pair("Operation", o.ID)
				t.pair("State", o.State)
				t.pair("Error", strings.ReplaceAll(o.Error, "\n", "; "))
				t.pair("Who", o.Who)
				t.pair("Why", o.Why)
				t.pair("Started", when(o.Started))
				for _, s := range o.Steps {
					t.pair(s.State, s.Sentence)
				}
			})
		}),
	}
	c.AddCommand(list, show)
	return c
}

func (a *app) events() *cobra.Command {
	var follow bool
	var since int64
	var kinds []string
	c := &cobra.Command{
		Use: "events", Short: "Show what happened", Args: cobra.NoArgs,
		Long: "Show what happened: sessions, refused logins, changes and who made them, failures. With\n-f also what happens from now on, until it is interrupted.",
		RunE: a.asking(func(ctx context.Context, c *client.Client, _ []string) error {
			last := since
			for {
				err := c.Events(ctx, last, follow, func(e v1.Event) error {
					last = e.ID
					if len(kinds) > 0 && !slices.ContainsFunc(kinds, func(k string) bool { return strings.HasPrefix(e.Kind, k) }) {
						return nil
					}
					return a.printEvent(e)
				})
				var unreachable *client.UnreachableError
				switch {
				case follow && ctx.Err() != nil:
					return nil // the way to end it
				case err != nil && !(follow && last > since && !errors.As(err, &unreachable)):
					return err
				case !follow:
					return nil
				}
				// The stream broke: the daemon was restarted, perhaps.
				select {
				case <-ctx.Done():
					return nil
				case <-time.After(time.Second):
				}
			}
		}),
	}
	c.Flags().BoolVarP(&follow, "follow", "f", false, "go on with what happens from now on")
	c.Flags().Int64Var(&since, "since", 0, "only events after the one with this `number`")
	c.Flags().StringSliceVar(&kinds, "kind", nil, "only events whose kind begins so, such as session or login.refused")
	return c
}

// printEvent prints one event as a line (JSON: an object a line; YAML: a
// document each), so that it can be followed.
func (a *app) printEvent(e v1.Event) error {
	switch a.output {
	case asJSON:
		return writeLine(a.out, e)
	case asYAML:
		text, err := yamlOf(e)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(a.out, "---\n%s", text)
		return err
	}
	object := ""
	if e.Object != "" {
		object = " " + e.Object
	}
	_, err := fmt.Fprintf(a.out, "%s  %s%s: %s\n", when(e.Time), clean(e.Kind), clean(object), clean(e.Message))
	return err
}
