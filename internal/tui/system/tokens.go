package system

import (
	"context"
	"fmt"
	"regexp"
	"slices"

	v1 "github.com/esos-project/esos/internal/api/v1"
	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/tui/frame"
)

// tokens lists the tokens of an API user.
func tokens(d *frame.Desk, user string) {
	d.List(&frame.List{Title: "Tokens of " + user, Command: "esos token list " + user,
		Help:    "Programs show a token instead of a password. The array keeps only its hash: it can be seen once, when it is made.",
		Columns: []frame.Column{{Title: "token", Wide: true}},
		Empty:   user + " has no tokens. Press a to make one.",
		Read: func(ctx context.Context) ([]frame.Row, error) {
			doc, err := d.Document(ctx)
			if err != nil {
				return nil, err
			}
			u, err := findAPIUser(doc, user)
			if err != nil {
				return nil, err
			}
			var rows []frame.Row
			for _, t := range u.Tokens {
				rows = append(rows, frame.Row{ID: t.Name, Cells: []string{t.Name}})
			}
			return rows, nil
		},
		Keys: []frame.RowKey{
			{Key: 'a', Does: "make one", Always: true, Do: func(frame.Row) { withDocument(d, func(d *frame.Desk, doc document) { newToken(d, doc, user) }) }},
			{Key: 'd', Does: "revoke", Do: func(r frame.Row) { revoke(d, user, r.ID) }},
		}})
}

func newToken(d *frame.Desk, doc document, user string) {
	var name string
	good := regexp.MustCompile(`^[A-Za-z0-9_.-]{1,64}$`)
	f := &frame.Form{Title: "New Token of " + user, Command: "esos token create " + user, Submit: "Make it",
		Help: "The token is shown once, and can do what " + user + " may.",
		Fields: []frame.Field{{Label: "Name", Text: &name, Check: func(s string) error {
			if !good.MatchString(s) {
				return fmt.Errorf("up to 64 letters, digits and _ . -")
			}
			if u, err := findAPIUser(doc, user); err == nil && slices.ContainsFunc(u.Tokens, func(t config.Token) bool { return t.Name == s }) {
				return fmt.Errorf("%s is there already", s)
			}
			return nil
		}, Hint: "What it is for, such as monitoring: to revoke the right one some day."}}}
	f.Do = func() {
		d.Ask("Make a token?", fmt.Sprintf("Whoever has the token %s may do what %s may.", name, user), "Make it", func() {
			frame.Load(d, "Make a token", func(ctx context.Context) (v1.MadeToken, error) { return d.Client().NewToken(ctx, user, name) },
				func(t v1.MadeToken) {
					d.Close(f)
					d.Page(&frame.Page{Title: "Token " + t.Name + " of " + user, Command: "esos token create " + user + " " + t.Name,
						Help: "Take it to where it is used now: when this page is closed nobody can see it again.",
						Text: "This is the only time that it is shown. The array keeps its hash only.\n\n" + t.Token + "\n"})
				})
		})
	}
	d.Form(f)
}

func revoke(d *frame.Desk, user, name string) {
	d.Change(frame.Change{Why: "esos token revoke " + user + " " + name, Edit: func(doc document) error {
		u, err := findAPIUser(doc, user)
		if err != nil {
			return err
		}
		u.Tokens = slices.DeleteFunc(slices.Clone(u.Tokens), func(t config.Token) bool { return t.Name == name })
		return nil
	}})
}
