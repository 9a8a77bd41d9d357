package cli

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	v1 "github.com/esos-project/esos/internal/api/v1"
	"github.com/esos-project/esos/internal/client"
	"github.com/esos-project/esos/internal/config"
)

// changeFlags go with every command that changes the document.
type changeFlags struct {
	yes     bool
	why     string
	destroy []string
	dryRun  bool
	within  time.Duration
}

func (f *changeFlags) add(c *cobra.Command) {
	c.Flags().BoolVarP(&f.yes, "yes", "y", false, "do not ask")
	c.Flags().StringVar(&f.why, "why", "", "`reason`, kept in the history")
	c.Flags().StringSliceVar(&f.destroy, "destroy", nil, "`object` that may be destroyed, such as device/db01 (more than once, or with commas)")
	c.Flags().DurationVar(&f.within, "confirm-within", 0, "how long a change of the network waits to be confirmed before it is undone, 10m at most (default 1m)")
	c.Flags().BoolVarP(&f.dryRun, "dry-run", "n", false, "show the plan and change nothing")
}

// edited makes a command that edits the document. build adds its flags and
// returns what it does; the document is fetched, edited, planned and applied
// around it.
func (a *app) edited(c *cobra.Command, edit func(c *cobra.Command, args []string, doc *config.Document) error) *cobra.Command {
	f := &changeFlags{}
	f.add(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		if f.why == "" {
			f.why = strings.Join(append([]string{c.CommandPath()}, args...), " ")
		}
		return a.edit(c.Context(), f, func(doc *config.Document) error { return edit(c, args, doc) })
	}
	return c
}

// editTries is how often an edit is made anew because somebody else's came
// between.
const editTries = 5

// edit fetches the document, edits it and applies it. If somebody else changed
// it meanwhile the edit is made again, on their document.
func (a *app) edit(ctx context.Context, f *changeFlags, edit func(*config.Document) error) error {
	c, err := a.connect()
	if err != nil {
		return err
	}
	defer c.Close()
	for try := 1; ; try++ {
		old, err := c.Document(ctx, false)
		if err != nil {
			return err
		}
		doc, err := config.Decode("the array's document", old.Text)
		if err != nil {
			return err
		}
		if err := edit(doc); err != nil {
			return err
		}
		text, err := config.Marshal(doc)
		if err != nil {
			return err
		}
		err = a.change(ctx, c, text, old.ETag, f, false)
		var e *client.Error
		if try < editTries && errors.As(err, &e) && e.Status == http.StatusPreconditionFailed {
			continue
		}
		return err
	}
}

// change plans a document, shows the plan, asks, and carries it out. With ask
// it asks before any change, else only before one that destroys.
func (a *app) change(ctx context.Context, c *client.Client, text []byte, etag string, f *changeFlags, ask bool) error {
	p, err := c.Plan(ctx, text, f.destroy)
	if err != nil {
		return err
	}
	if f.dryRun {
		return a.showPlan(p)
	}
	return a.carryOut(ctx, c, p, f, ask, func() (v1.Operation, error) {
		return c.Apply(ctx, text, client.ChangeOptions{IfMatch: etag, Why: f.why, Destroy: f.destroy, ConfirmWithin: int(f.within / time.Second)})
	})
}

// carryOut shows a plan, asks, begins it and follows it to its end.
func (a *app) carryOut(ctx context.Context, c *client.Client, p v1.Plan, f *changeFlags, ask bool, begin func() (v1.Operation, error)) error {
	if ask || len(p.Needs) > 0 {
		if len(p.Steps) > 0 {
			fmt.Fprint(a.notes(), p.Text)
		}
	} else {
		for _, n := range p.Notes {
			fmt.Fprintf(a.err, "note: %s: %s\n", clean(n.Location), clean(n.Message))
		}
		a.warn(p)
	}
	if err := a.consent(p, f, ask); err != nil {
		return err
	}
	op, err := begin()
	if err != nil {
		return err
	}
	if err := a.follow(ctx, c, op); err != nil {
		return err
	}
	return a.keepNetwork(ctx, p)
}

// notes is where people are told what happens: not among output for programs.
func (a *app) notes() io.Writer {
	if a.output != asTable {
		return a.err
	}
	return a.out
}

func (a *app) warn(p v1.Plan) {
	for _, w := range p.Warnings {
		fmt.Fprintf(a.err, "warning: %s\n", clean(w))
	}
}

// consent asks on a terminal for what the flags do not allow yet.
func (a *app) consent(p v1.Plan, f *changeFlags, ask bool) error {
	terminal := a.terminal()
	for _, object := range p.Needs {
		if slices.Contains(f.destroy, object) {
			continue
		}
		if !terminal {
			return codeError{fmt.Errorf("this would destroy: %s\nIf that is meant, say so with%s", strings.Join(p.Needs, ", "), destroyFlags(p.Needs)), exitDestroys}
		}
		answer, err := a.ask(fmt.Sprintf("Type %s to have it destroyed: ", object))
		if err != nil {
			return err
		}
		if answer != object {
			return codeError{fmt.Errorf("%s was not named: nothing was changed", object), exitDestroys}
		}
		f.destroy = append(f.destroy, object)
	}
	if ask && terminal && !f.yes && len(p.Steps) > 0 {
		answer, err := a.ask("Carry this out? [y/N] ")
		if err != nil {
			return err
		}
		if answer = strings.ToLower(answer); answer != "y" && answer != "yes" {
			return codeError{errors.New("not confirmed: nothing was changed"), exitInterrupted}
		}
	}
	return nil
}

func destroyFlags(objects []string) string {
	var b strings.Builder
	for _, o := range objects {
		fmt.Fprintf(&b, " --destroy %s", o)
	}
	return b.String()
}

// terminal tells whether a person can answer.
func (a *app) terminal() bool {
	f, ok := a.in.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// ask asks a question and reads one line.
func (a *app) ask(question string) (string, error) {
	fmt.Fprint(a.err, question)
	if a.lines == nil {
		a.lines = bufio.NewReader(a.in) // one for all questions: it reads ahead
	}
	line, err := a.lines.ReadString('\n')
	if err != nil && !(errors.Is(err, io.EOF) && line != "") {
		return "", codeError{fmt.Errorf("no answer: %w", err), exitInterrupted}
	}
	return strings.TrimSpace(line), nil
}

// follow shows an operation's progress to its end.
func (a *app) follow(ctx context.Context, c *client.Client, op v1.Operation) error {
	notes := a.notes()
	op, err := c.Follow(ctx, op, newProgress(notes).show)
	if err != nil {
		if ctx.Err() != nil {
			return codeError{fmt.Errorf("the array goes on with operation %s; see 'esos operation show %s'", op.ID, op.ID), exitInterrupted}
		}
		return err
	}
	if a.output != asTable {
		if err := a.print(op, nil); err != nil {
			return err
		}
	}
	switch {
	case op.State == v1.Failed:
		return fmt.Errorf("%s", op.Error)
	case !op.Changed:
		fmt.Fprintln(notes, "no changes")
	case op.Revision > 0:
		fmt.Fprintf(notes, "done: revision %d\n", op.Revision)
	}
	for _, w := range op.Warnings {
		fmt.Fprintf(a.err, "esos: warning: %s\n", w)
	}
	return nil
}

// progress prints the steps of an operation as they end.
type progress struct {
	w    io.Writer
	said map[string]string
}

func newProgress(w io.Writer) *progress { return &progress{w: w, said: map[string]string{}} }

func (p *progress) show(op v1.Operation) {
	for _, s := range op.Steps {
		if p.said[s.ID] == s.State {
			continue
		}
		p.said[s.ID] = s.State
		switch s.State {
		case "done":
			fmt.Fprintf(p.w, "  %s\n", clean(s.Sentence))
		case "failed", "undone":
			fmt.Fprintf(p.w, "  %s: %s\n", s.State, clean(s.Sentence))
		}
	}
}

// readDocument reads a document from a file, or from standard input ("-"), and
// checks it here as far as that can be done.
func (a *app) readDocument(file string) ([]byte, error) {
	var text []byte
	var err error
	name := file
	if file == "-" {
		name = "standard input"
		text, err = io.ReadAll(io.LimitReader(a.in, config.MaxDocument+1))
	} else {
		text, err = os.ReadFile(file)
	}
	if err != nil {
		return nil, fmt.Errorf("read the document: %w", err)
	}
	// Only here the file's name is known, which errors should have. What the
	// array alone can fill in (its secrets, if they read "(secret)") it checks.
	if bytes.Contains(text, []byte(config.Hidden)) {
		_, err = config.Decode(name, text)
	} else {
		_, _, err = config.Parse(name, text)
	}
	return text, err
}
