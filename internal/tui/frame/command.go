package frame

import (
	"context"
	"io"
	"strings"
)

// Command runs a command of esos and shows what it prints while it works: for what
// is no change of the document, and works when the daemon does not, such as an
// upgrade. done is called when it has ended well; it may be nil.
func (d *Desk) Command(title string, done func(), args ...string) {
	d.CommandWith(title, "", done, args...)
}

// CommandWith is Command of a command that reads input, a secret perhaps.
func (d *Desk) CommandWith(title, input string, done func(), args ...string) {
	d.CommandFrom(title, strings.NewReader(input), done, args...)
}

// CommandFrom is Command of a command that is answered while it works. It
// returns the page, to be given keys.
func (d *Desk) CommandFrom(title string, in io.Reader, done func(), args ...string) *Page {
	ctx, cancel := context.WithCancel(d.ctx)
	line := "esos " + strings.Join(args, " ")
	p := &Page{Title: title, Command: line, End: true, Text: "$ " + line + "\n\n",
		Help: "What the command prints. Leaving this screen before it has ended stops it."}
	p.Gone = cancel
	d.Page(p)
	d.pending++
	go func() {
		code := d.o.Command(ctx, args, in, &toPage{d, p})
		d.Update(func() {
			d.pending--
			switch {
			case code != 0:
				p.Append("\nThat failed.\n")
			default:
				p.Append("\nDone. Esc goes back.\n")
				if done != nil {
					done()
				}
			}
		})
	}()
	return p
}

// Output runs a command of esos and hands what it printed to then.
func (d *Desk) Output(what string, then func(string), args ...string) {
	Load(d, what, func(ctx context.Context) (string, error) { return d.CommandOutput(ctx, args...) }, then)
}

// CommandOutput runs a command of esos to its end. It may be called from
// anywhere.
func (d *Desk) CommandOutput(ctx context.Context, args ...string) (string, error) {
	var b strings.Builder
	if code := d.o.Command(ctx, args, strings.NewReader(""), &b); code != 0 {
		return "", &CommandError{Code: code, Said: strings.TrimPrefix(strings.TrimSpace(b.String()), "esos: ")}
	}
	return b.String(), nil
}

// CommandError is a command of esos that failed.
type CommandError struct {
	Code int // as docs/cli.md has them
	Said string
}

// Error is what the command said.
func (e *CommandError) Error() string { return e.Said }

// toPage appends what is written to a page.
type toPage struct {
	desk *Desk
	page *Page
}

func (w *toPage) Write(b []byte) (int, error) {
	text := string(b)
	w.desk.Update(func() { w.page.Append(text) })
	return len(b), nil
}
