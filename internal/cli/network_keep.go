package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	v1 "github.com/esos-project/esos/internal/api/v1"
	"github.com/esos-project/esos/internal/client"
)

// keepNetwork sees to it that a change of the network that was just carried out
// stays, if whoever made it still gets in. p is its plan.
func (a *app) keepNetwork(ctx context.Context, p v1.Plan) error {
	if !cutsOff(p) {
		return nil
	}
	// By a connection of its own: the one that the change was made by may work
	// on where no new one would.
	c, err := a.connect()
	if err != nil {
		return err
	}
	defer c.Close()
	s, err := c.Status(ctx)
	if err != nil {
		return fmt.Errorf("the network was changed, and the array cannot be reached any more; it undoes the change by itself within a minute: %w", err)
	}
	u := s.Unconfirmed
	if u == nil {
		if s.Revision.Who == "esos" && strings.HasPrefix(s.Revision.Why, "network change of revision") {
			return codeError{errors.New(s.Revision.Why), exitInterrupted}
		}
		return nil
	}
	switch {
	case c.Remote():
		if err := c.ConfirmNetwork(ctx, u.Revision); err != nil {
			return fmt.Errorf("confirm the change of the network: %w", err)
		}
		fmt.Fprintln(a.err, "confirmed by a new connection: the change of the network stays")
		return nil
	case a.terminal():
		return a.askToKeep(ctx, c, u)
	}
	fmt.Fprintf(a.err, "The network was changed. See that you still get in, then run 'esos network confirm' within %d s; else the change is undone.\n", secondsLeft(u.Deadline))
	return nil
}

// cutsOff tells whether a plan changes interfaces.
func cutsOff(p v1.Plan) bool {
	for _, s := range p.Steps {
		if s.Layer == "network" && strings.HasPrefix(s.Object, "interface/") {
			return true
		}
	}
	return false
}

// askToKeep asks on a terminal, for as long as the array waits. No answer is as
// good as no: whoever was cut off gives none.
func (a *app) askToKeep(ctx context.Context, c *client.Client, u *v1.UnconfirmedNetwork) error {
	answer := make(chan string, 1)
	if a.lines == nil {
		a.lines = bufio.NewReader(a.in)
	}
	go func() { // ends with the program, if nobody types
		line, err := a.lines.ReadString('\n')
		if err == nil {
			answer <- strings.ToLower(strings.TrimSpace(line))
		}
		close(answer)
	}()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for time.Now().Before(u.Deadline) {
		fmt.Fprintf(a.err, "\rThe network was changed. Keep it? [y/N] (undone in %d s) ", secondsLeft(u.Deadline))
		select {
		case <-ctx.Done():
			return ctx.Err()
		case typed, more := <-answer:
			if typed == "y" || typed == "yes" {
				if err := c.ConfirmNetwork(ctx, u.Revision); err != nil {
					return fmt.Errorf("confirm the change of the network: %w", err)
				}
				fmt.Fprintln(a.notes(), "the change of the network stays")
				return nil
			}
			if !more {
				fmt.Fprintln(a.err)
			}
			if err := c.UndoNetwork(ctx); err != nil {
				return fmt.Errorf("undo the change of the network: %w", err)
			}
			return codeError{errors.New("not kept: the change of the network is undone"), exitInterrupted}
		case <-tick.C:
		}
	}
	fmt.Fprintln(a.err)
	return codeError{errors.New("no answer: the change of the network is undone"), exitInterrupted}
}
