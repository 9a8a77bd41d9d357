package filesystems

import (
	"context"
	"strings"

	v1 "github.com/esos-project/esos/internal/api/v1"
	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/tui/frame"
)

// encryptedList shows the encrypted devices, and what can be done to them.
func encryptedList(d *frame.Desk) {
	of := func(do func(v1.EncryptedState)) func(frame.Row) {
		return func(r frame.Row) {
			if e, ok := r.Value.(v1.EncryptedState); ok {
				do(e)
			}
		}
	}
	d.List(&frame.List{Title: "Encrypted devices", Command: "esos encryption list",
		Help:    "Block devices that are encrypted (LUKS2), open at /dev/mapper/NAME, where arrays, volume groups, file systems or devices stand on them.",
		Columns: []frame.Column{{Title: "name"}, {Title: "state"}, {Title: "key"}, {Title: "size", Right: true}, {Title: "device", Wide: true}},
		Read: func(ctx context.Context) ([]frame.Row, error) {
			all, err := d.Client().Encrypted(ctx)
			var rows []frame.Row
			for _, e := range all {
				rows = append(rows, encryptedRow(e))
			}
			return rows, err
		},
		Empty: "No device is encrypted. Press a to encrypt one.",
		Keys: []frame.RowKey{
			{Does: "details", Do: of(func(e v1.EncryptedState) { showEncrypted(d, e) })},
			{Key: 'a', Does: "add", Always: true, Do: func(frame.Row) { addEncrypted(d) }},
			{Key: 'u', Does: "unlock", Do: of(func(e v1.EncryptedState) { unlock(d, e) })},
			{Key: 'l', Does: "lock", Do: of(func(e v1.EncryptedState) { lock(d, e) })},
			{Key: 'r', Does: "recovery key", Do: of(func(e v1.EncryptedState) { recoveryKey(d, e) })},
			{Key: 'd', Does: "remove", Do: of(func(e v1.EncryptedState) { removeEncrypted(d, e) })},
		}})
}

func encryptedRow(e v1.EncryptedState) frame.Row {
	r := frame.Row{ID: e.Name, Value: e, Why: e.Problem, Cells: []string{e.Name, encryptedState(e), e.Key, sizeOf(e.Size), e.Device}}
	switch {
	case !e.Open:
		r.Level = frame.Bad
	case e.NoBackup:
		r.Level, r.Why = frame.Warn, "Nobody has its recovery key: if the machine's board fails, all of it is lost. Press r to see it."
	case e.Problem != "":
		r.Level = frame.Warn
	}
	return r
}

func encryptedState(e v1.EncryptedState) string {
	switch {
	case e.Open:
		return "open"
	case e.Waits && !e.Made:
		return "waits for a new passphrase"
	case e.Waits:
		return "waits for its passphrase"
	case e.Made:
		return "closed"
	}
	return "not there"
}

// showEncrypted shows all of an encrypted device.
func showEncrypted(d *frame.Desk, e v1.EncryptedState) {
	frame.Load(d, "Read the document", d.Document, func(doc *config.Document) {
		t := pairs{}
		t.add("name", e.Name)
		t.add("path", e.Path)
		t.add("state", encryptedState(e))
		t.add("problem", e.Problem)
		t.add("key", e.Key)
		if e.NoBackup {
			t.add("recovery key", "nobody has it: press r in the list to see it")
		}
		t.add("device", e.Device)
		t.add("size", sizeOf(e.Size))
		t.add("uuid", e.UUID)
		t.add("used by", strings.Join(doc.UsersOf(e.Path), ", "))
		t.add("grows", growsBy(doc, e.Device))
		d.Page(&frame.Page{Title: "Encrypted device " + e.Name, Command: "esos encryption show " + e.Name, Text: t.text()})
	})
}

// removeEncrypted asks what becomes of the keys of an encrypted device, and
// removes it.
func removeEncrypted(d *frame.Desk, e v1.EncryptedState) {
	frame.Load(d, "Read the document", d.Document, func(doc *config.Document) {
		if users := doc.UsersOf(e.Path); len(users) > 0 {
			d.Warn("Encrypted device "+e.Name+" cannot be removed", "As it is, "+strings.Join(users, ", ")+" lies on it. Remove that first.")
			return
		}
		what := "keep"
		f := &frame.Form{Title: "Remove encrypted device " + e.Name, Command: "esos encryption delete " + e.Name + " --destroy encrypted/" + e.Name, Submit: "Go on",
			Help: "Given up, it is closed, and its data and its key stay: declared again, it is back. With its keys erased nobody can read it any more."}
		f.Fields = []frame.Field{{Label: "What it holds", One: &what, Columns: []string{"", "what that means"}, Hint: "Kept is safe. To erase its keys, its name has to be typed.",
			Options: []frame.Option{
				{Value: "keep", Cells: []string{"stays", "closed; it can be declared again"}},
				{Value: "erase", Cells: []string{"is lost", "its keys are erased: nobody can read it any more"}},
			}}}
		f.Do = func() {
			c := frame.Change{Why: "esos encryption delete " + e.Name, From: f, Edit: func(doc *config.Document) error { return doc.RemoveEncrypted(e.Name) }}
			if what == "erase" {
				c.Destroy = []string{"encrypted/" + e.Name}
				c.Why += " --destroy encrypted/" + e.Name
			}
			d.Change(c)
		}
		d.Form(f)
	})
}
