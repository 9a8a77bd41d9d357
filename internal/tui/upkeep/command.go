package upkeep

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"time"

	"github.com/esos-project/esos/internal/tui/frame"
)

// answer runs a command of esos that prints JSON, and reads it into v. Warnings
// that stand before or after the JSON are passed over.
func answer(ctx context.Context, d *frame.Desk, v any, args ...string) error {
	text, err := d.CommandOutput(ctx, append(args, "-o", "json")...)
	if err != nil {
		return err
	}
	for at := 0; at < len(text); {
		if text[at] == '[' || text[at] == '{' {
			if err := json.NewDecoder(strings.NewReader(text[at:])).Decode(v); err != nil {
				return fmt.Errorf("read what esos %s said: %w", strings.Join(args, " "), err)
			}
			return nil
		}
		next := strings.IndexByte(text[at:], '\n')
		if next < 0 {
			break
		}
		at += next + 1
	}
	return fmt.Errorf("esos %s said nothing that could be read", strings.Join(args, " "))
}

// rowsOf reads a list that a command prints as JSON.
func rowsOf[T any](d *frame.Desk, row func(T) frame.Row, args ...string) func(context.Context) ([]frame.Row, error) {
	return func(ctx context.Context) ([]frame.Row, error) {
		var all []T
		if err := answer(ctx, d, &all, args...); err != nil {
			return nil, err
		}
		rows := make([]frame.Row, 0, len(all))
		for _, v := range all {
			rows = append(rows, row(v))
		}
		return rows, nil
	}
}

// when is a time for people.
func when(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Local().Format("2006-01-02 15:04:05")
}

// run runs a command that a form asked for, or another screen. That goes when
// the command has ended well and its output was read; else what was typed is
// still there.
func run(d *frame.Desk, f frame.Screen, title string, args ...string) {
	runFrom(d, f, title, strings.NewReader(""), args...)
}

func runFrom(d *frame.Desk, f frame.Screen, title string, in io.Reader, args ...string) *frame.Page {
	well := false
	p := d.CommandFrom(title, in, func() { well = true }, args...)
	gone := p.Gone
	p.Gone = func() {
		gone()
		if well {
			d.Close(f)
		}
	}
	return p
}

// named asks for the name of something that is lost before do is called.
func named(d *frame.Desk, title, text, want, yes string, do func()) {
	var typed string
	f := &frame.Form{Title: title, Intro: text + "\n\nType " + want + " to go on.", Submit: yes,
		Fields: []frame.Field{{Label: "Name", Text: &typed, Hint: "exactly " + want, Check: func(s string) error {
			if s != want {
				return fmt.Errorf("not %s: nothing was changed", want)
			}
			return nil
		}}}}
	f.Do = func() {
		d.Close(f)
		do()
	}
	d.Form(f)
}

// filePath checks the path of a file on this machine.
func filePath(s string) error {
	switch {
	case s == "":
		return fmt.Errorf("the path of a file is needed, such as /tmp/name")
	case !filepath.IsAbs(s):
		return fmt.Errorf("a whole path, which begins with /")
	case strings.HasSuffix(s, "/"):
		return fmt.Errorf("a file, not a directory")
	}
	return nil
}

// quoted is an argument as a shell takes it.
func quoted(s string) string {
	if s != "" && !strings.ContainsAny(s, " \t'\"\\$`&;|<>()*?[]#~!{}") {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
