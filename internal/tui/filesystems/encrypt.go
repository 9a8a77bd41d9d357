package filesystems

import (
	"context"
	"fmt"
	"slices"
	"unicode/utf8"

	v1 "github.com/esos-project/esos/internal/api/v1"
	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/tui/frame"
)

// addEncrypted asks what is to be encrypted, and where its key is to be.
func addEncrypted(d *frame.Desk) {
	look(d, func(s seen) {
		options, disks := s.blocks()
		c := &encryption{desk: d, disks: disks, before: "new"}
		var taken []string
		for _, e := range s.doc.Storage.Encrypted {
			taken = append(taken, e.Name)
		}
		for _, m := range s.doc.Storage.Multipath.Maps {
			taken = append(taken, m.Name)
		}
		makes := func() bool { return !c.keeps() }
		typed := func() bool { return makes() && c.key == "typed" }
		c.form = &frame.Form{Title: "Add encrypted device", Command: "esos encryption create NAME --device PATH --key KEY", Submit: "Go on",
			Help: "The whole device is encrypted (LUKS2, AES-XTS with 512-bit keys), and open at /dev/mapper/NAME. What it holds is lost only after its name was typed. The kind of key is not changed later: choose what it is to protect against."}
		c.form.Fields = []frame.Field{
			{Label: "Device", One: &c.device, Options: options, Columns: blockColumns(), Check: frame.Needed, Changed: c.chosen,
				Hint: "What is encrypted: a disk, an array, a volume. All of it is taken."},
			{Label: "What is there", One: &c.before, Show: c.takeable, Columns: []string{"do", "what that means"}, Hint: "The device holds encrypted data already.",
				Options: []frame.Option{{Value: "new", Cells: []string{"encrypt anew", "what is there is lost, after its name was typed"}}, {Value: "keep", Cells: []string{"take it up", "with its passphrase, which is asked for at the end"}}}},
			{Label: "Name", Text: &c.name, Check: frame.Name(64, taken), Hint: "It is open at /dev/mapper/NAME."},
			{Label: "Key", One: &c.key, Show: makes, Check: frame.Needed, Columns: []string{"where", "opens at boot", "protects when"}, Hint: "Where the key is, and so what it protects against.",
				Options: []frame.Option{
					{Value: "tpm2", Cells: []string{"tpm2", "by itself, here only", "disks, medium and backups leave the house"}},
					{Value: "file", Cells: []string{"file", "by itself", "disks leave the house without the boot medium"}},
					{Value: "typed", Cells: []string{"typed", "waits for you", "the whole machine is taken, switched off"}},
				}},
			{Note: "A recovery key is shown once at the end: have something to write at hand.", Show: func() bool { return makes() && c.key == "tpm2" }},
			{Note: "The key is among the saved settings: without a backup of them nobody can read the disks.", Show: func() bool { return makes() && c.key == "file" }},
			{Label: "Passphrase", Text: &c.passphrase, Secret: true, Show: typed, Check: newPassphrase, Hint: "At least 12 characters; several words are good. It is typed after each boot: whoever forgets it has lost the data."},
			{Label: "Passphrase again", Text: &c.again, Secret: true, Show: typed, Check: frame.Same(&c.passphrase), Hint: "The same once more."},
		}
		c.form.Do = c.create
		d.Form(c.form)
	})
}

// shortest is how long a new passphrase has to be.
const shortest = 12

func newPassphrase(s string) error {
	if len(s) < shortest {
		return fmt.Errorf("%d characters of at least %d", utf8.RuneCountInString(s), shortest)
	}
	return nil
}

// encryption is a form for a new encrypted device.
type encryption struct {
	desk                                         *frame.Desk
	form                                         *frame.Form
	disks                                        map[string]v1.Disk
	device, before, name, key, passphrase, again string
}

// takeable says whether the device holds encrypted data.
func (c *encryption) takeable() bool {
	disk := c.disks[c.device]
	return disk.Signature == "crypto_LUKS" && disk.UUID != ""
}

func (c *encryption) keeps() bool { return c.takeable() && c.before == "keep" }

// chosen follows the choice of a device: what is there is never lost by default.
func (c *encryption) chosen() {
	c.before = "new"
	if c.takeable() {
		c.before = "keep"
	}
}

func (c *encryption) create() {
	d := c.desk
	e := config.Encrypted{Name: c.name, Device: c.device, Key: c.key}
	if c.keeps() {
		e.Key, e.UUID = "typed", c.disks[c.device].UUID
	}
	why := fmt.Sprintf("esos encryption create %s --device %s --key %s", e.Name, e.Device, e.Key)
	if e.UUID != "" {
		why += " --uuid " + e.UUID
	}
	change := frame.Change{Why: why, From: c.form, Edit: func(doc *config.Document) error { return doc.AddEncrypted(e) }}
	switch {
	case e.UUID != "":
		change.Done = func() { unlockNamed(d, e.Name) }
	case e.Key == "tpm2":
		change.Done = func() { showRecoveryKey(d, e.Name) }
	case e.Key == "typed":
		// Before the document: what is made needs it. The array holds it for ten
		// minutes at most, and nothing is changed by that.
		key := v1.Unlock{Passphrase: config.Secret(c.passphrase), Make: true}
		change.Done = func() { c.passphrase, c.again = "", "" }
		d.Do("Hand over the passphrase", func(ctx context.Context) error { return d.Client().Unlock(ctx, e.Name, key) }, func() { d.Change(change) })
		return
	}
	d.Change(change)
}

// waiting are those that wait for a passphrase.
func waiting(all []v1.EncryptedState) []v1.EncryptedState {
	return slices.DeleteFunc(slices.Clone(all), func(e v1.EncryptedState) bool { return !e.Waits })
}
