package system

import (
	"context"
	"fmt"
	"slices"

	"golang.org/x/crypto/ssh"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/tui/frame"
)

// sshKeys lists the keys that open a user's logins.
func sshKeys(d *frame.Desk, _ document, name string) {
	d.List(&frame.List{Title: "SSH Keys of " + name, Command: "esos account key list " + name,
		Help:    "Public keys that open the user's logins over SSH. A key is pasted, as the .pub file on the person's own machine has it.",
		Columns: []frame.Column{{Title: "type"}, {Title: "comment"}, {Title: "fingerprint", Wide: true}},
		Empty:   "No key opens " + name + "'s logins. Press a to add one.",
		Read: func(ctx context.Context) ([]frame.Row, error) {
			doc, err := d.Document(ctx)
			if err != nil {
				return nil, err
			}
			u, err := person(doc, name)
			if err != nil {
				return nil, err
			}
			var rows []frame.Row
			for _, line := range u.SSHKeys {
				key, comment, options, _, err := ssh.ParseAuthorizedKey([]byte(line))
				if err != nil {
					continue // the document is not in force with such a one
				}
				r := frame.Row{ID: line, Cells: []string{key.Type(), comment, ssh.FingerprintSHA256(key)}}
				if len(options) > 0 {
					r.Why = fmt.Sprintf("With options: %q", options)
				}
				rows = append(rows, r)
			}
			return rows, nil
		},
		Keys: []frame.RowKey{
			{Key: 'a', Does: "add", Always: true, Do: func(frame.Row) { addKey(d, name) }},
			{Key: 'd', Does: "delete", Do: func(r frame.Row) { removeKey(d, name, r) }},
		}})
}

func addKey(d *frame.Desk, name string) {
	var keys string
	f := &frame.Form{Title: "Add SSH Keys of " + name, Command: "esos account key add " + name + " FILE", Submit: "Add",
		Fields: []frame.Field{{Label: "Public keys", Lines: &keys, Check: func(s string) error {
			if err := frame.Needed(s); err != nil {
				return err
			}
			return publicKeys(s)
		}, Hint: "One a line: ssh-ed25519 AAAA... ann@desk. Paste what the .pub file has; never the private key."}}}
	f.Do = func() {
		d.Change(frame.Change{Why: "esos account key add " + name + " -", From: f, Edit: func(doc document) error {
			u, err := person(doc, name)
			if err != nil {
				return err
			}
			found, err := config.PublicKeys(keys)
			for _, k := range found {
				if !slices.Contains(u.SSHKeys, k) {
					u.SSHKeys = append(u.SSHKeys, k)
				}
			}
			return err
		}})
	}
	d.Form(f)
}

func removeKey(d *frame.Desk, name string, r frame.Row) {
	d.Change(frame.Change{Why: "esos account key remove " + name + " " + r.Cells[2], Edit: func(doc document) error {
		u, err := doc.FindUser(name)
		if err != nil {
			return err
		}
		u.SSHKeys = slices.DeleteFunc(u.SSHKeys, func(line string) bool { return line == r.ID })
		return nil
	}})
}
