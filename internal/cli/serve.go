package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/lmittmann/tint"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/esos-project/esos/internal/appliance"
	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/daemon"
	"github.com/esos-project/esos/internal/persist/machine"
)

func (a *app) serve() *cobra.Command {
	var o daemon.Options
	var first string
	var empty, inMemory, verbose bool
	c := &cobra.Command{
		Use:   "serve",
		Short: "Run the array: the daemon",
		Long: `Run the array until it is told to end: serve what the document declares, and answer
on the Unix socket api.sock in the run directory (and over TCP if the document
says so).

The first time there is no document. Then the one of --config is carried out; or
without it one that exports a thin disk of 1 GiB on 127.0.0.1:3260.

Ctrl-C (SIGINT) ends all of it. SIGTERM ends the daemon only: esos-target serves
on, and the next daemon takes it up without dropping a session.`,
		Example: "  esos serve --data-dir ./var\n  esos serve --config esos.yaml",
		Args:    cobra.NoArgs,
	}
	f := c.Flags()
	f.StringVar(&o.DataDir, "data-dir", systemDataDir, "documents, image files, reservations")
	f.StringVar(&o.RunDir, "run-dir", "", "sockets (default "+systemRunDir+", or run below a --data-dir that was given)")
	f.StringVar(&first, "config", "", "document to begin with, if there is none yet")
	f.BoolVar(&empty, "empty", false, "begin with an empty document, if there is none yet")
	f.StringVar(&o.Seed, "seed", "", "document that an appliance begins with; it may be missing, and what of it cannot be had yet is tried again")
	f.BoolVar(&inMemory, "appliance", false, "this machine runs from memory, booted from an ESOS medium: save settings to it, refuse image files that would live in memory")
	f.StringVar(&o.TargetBinary, "target-binary", "", "the program esos-target (default: beside this one, or in PATH)")
	f.StringVar(&o.TargetSocket, "target-socket", "", "socket at which systemd starts esos-target (default: the daemon starts it)")
	f.BoolVarP(&verbose, "verbose", "v", false, "log more")
	c.RunE = func(c *cobra.Command, _ []string) error {
		if o.RunDir == "" {
			o.RunDir = systemRunDir
			if c.Flags().Changed("data-dir") {
				o.RunDir = filepath.Join(o.DataDir, "run")
			}
		}
		if o.TargetBinary == "" {
			var err error
			if o.TargetBinary, err = daemon.TargetBinary(); err != nil {
				return err
			}
		}
		o.First = daemon.Demonstration()
		switch {
		case first != "" && empty, o.Seed != "" && (empty || first != ""):
			return usageError{fmt.Errorf("give one of --config, --empty and --seed")}
		case first != "":
			doc, _, err := config.Load(first)
			if err != nil {
				return err
			}
			o.First = doc
		case empty, inMemory:
			o.First = daemon.Empty()
		}
		if inMemory {
			o.InMemory = true
			m, err := machine.Here()
			switch {
			case errors.Is(err, machine.ErrLive): // there is nowhere to save to
			case err != nil:
				return fmt.Errorf("--appliance: %w", err)
			default:
				o.Saver = m
			}
		}
		o.Version, o.Log = Version(), logger(a.err, verbose)
		o.Ready = func(ctx context.Context, app *appliance.Appliance, socket string) { a.welcome(ctx, app, socket) }
		stop := make(chan os.Signal, 4)
		signal.Notify(stop, os.Interrupt, syscall.SIGTERM)
		defer signal.Stop(stop)
		o.Stop = stop
		// Signals end it in order, by o.Stop; not by a cancelled context.
		return daemon.Run(context.WithoutCancel(c.Context()), o)
	}
	return c
}

// logger writes records for people on a terminal, else one line each of
// key=value.
func logger(w io.Writer, verbose bool) *slog.Logger {
	level := slog.LevelInfo
	if verbose {
		level = slog.LevelDebug
	}
	if f, ok := w.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		return slog.New(tint.NewTextHandler(w, &tint.Options{Level: level, TimeFormat: time.TimeOnly}))
	}
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: level}))
}

// welcome says what is served, and what to try.
func (a *app) welcome(ctx context.Context, app *appliance.Appliance, socket string) {
	doc, rev, err := app.Document(ctx)
	if err != nil {
		return // the daemon says more of it
	}
	fmt.Fprintf(a.out, "\nESOS serves: array %s, revision %d\n", doc.Name, rev.Number)
	for _, p := range doc.ISCSI.Portals {
		fmt.Fprintf(a.out, "  portal  %s\n", p.Address)
	}
	for _, t := range doc.Targets {
		fmt.Fprintf(a.out, "  target  %s\n", t.Name)
		for _, l := range t.LUNs {
			fmt.Fprintf(a.out, "          LUN %d: %s\n", l.LUN, l.Device)
		}
	}
	fmt.Fprintf(a.out, "  API     %s\n", socket)
	if l := doc.API.Listen; l != "" {
		fmt.Fprintf(a.out, "          https://%s\n", l)
	}
	esos := os.Args[0]
	if found, err := findSocket(); err != nil || !sameFile(found, socket) {
		esos += " --socket " + socket
	}
	fmt.Fprintf(a.out, "\nTry next:\n")
	if len(doc.ISCSI.Portals) > 0 {
		fmt.Fprintf(a.out, "  iscsi-ls -s iscsi://%s\n", doc.ISCSI.Portals[0].Address)
	}
	fmt.Fprintf(a.out, "  %s status\n", esos)
	if len(doc.Targets) > 0 {
		name := doc.Targets[0].Name
		if _, short, ok := cutLast(name, ":"); ok {
			name = short
		}
		fmt.Fprintf(a.out, "  %s device create disk02 --size 2GiB && %s lun map %s disk02\n", esos, esos, name)
	}
	fmt.Fprintf(a.out, "\nCtrl-C ends it.\n\n")
}

func sameFile(a, b string) bool {
	x, err := os.Stat(a)
	if err != nil {
		return false
	}
	y, err := os.Stat(b)
	return err == nil && os.SameFile(x, y)
}
