package filesystems

import (
	"context"
	"fmt"

	v1 "github.com/esos-project/esos/internal/api/v1"
	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/tui/frame"
)

// chooseUnlock has one of those chosen that wait for their passphrase.
func chooseUnlock(d *frame.Desk) {
	frame.Load(d, "Read the encrypted devices", d.Client().Encrypted, func(all []v1.EncryptedState) {
		if len(waiting(all)) == 0 {
			d.Say("Unlock encrypted device", "No encrypted device waits for a passphrase.")
			return
		}
		p := frame.Picker{Title: "Unlock encrypted device", Command: "esos encryption unlock NAME", Intro: "Which one?", Columns: []string{"name", "state", "key", "device"}}
		by := map[string]v1.EncryptedState{}
		for _, e := range all {
			by[e.Name] = e
			p.Options = append(p.Options, frame.Option{Value: e.Name, Why: unlockable(e), Cells: []string{e.Name, encryptedState(e), e.Key, e.Device}})
		}
		choose(d, p, func(name string) { unlock(d, by[name]) })
	})
}

// unlockable says why an encrypted device cannot be unlocked.
func unlockable(e v1.EncryptedState) string {
	switch {
	case e.Open:
		return "it is open"
	case e.Key != "typed":
		return "its key is " + e.Key + ": it is opened by itself"
	}
	return ""
}

// unlockNamed unlocks one that was just declared.
func unlockNamed(d *frame.Desk, name string) {
	frame.Load(d, "Read the encrypted devices", d.Client().Encrypted, func(all []v1.EncryptedState) {
		for _, e := range all {
			if e.Name == name {
				unlock(d, e)
			}
		}
	})
}

// unlock asks for a passphrase, twice if it is a new one.
func unlock(d *frame.Desk, e v1.EncryptedState) {
	if why := unlockable(e); why != "" {
		d.Say("Encrypted device "+e.Name, "It cannot be unlocked: "+why+".")
		return
	}
	var passphrase, again string
	made := e.Made
	f := &frame.Form{Title: "Unlock encrypted device " + e.Name, Command: "esos encryption unlock " + e.Name, Submit: "Unlock",
		Help: "What stands on it comes up with it. The passphrase is in no log, no argument of a program and no document.",
		Fields: []frame.Field{
			{Note: "There are no encrypted data on " + e.Device + " yet: the passphrase is a new one, and the device is encrypted with it.", Show: func() bool { return !made }},
			{Label: "Passphrase", Text: &passphrase, Secret: true, Hint: "the one that it was made with", Check: frame.Needed, Show: func() bool { return made }},
			{Label: "New passphrase", Text: &passphrase, Secret: true, Hint: "At least 12 characters; several words are good. Whoever forgets it has lost the data.", Check: newPassphrase, Show: func() bool { return !made }},
			{Label: "Again", Text: &again, Secret: true, Hint: "The same once more.", Check: frame.Same(&passphrase), Show: func() bool { return !made }},
		}}
	f.Do = func() {
		key := v1.Unlock{Passphrase: config.Secret(passphrase), Make: !made}
		d.Do("Unlock "+e.Name, func(ctx context.Context) error { return d.Client().Unlock(ctx, e.Name, key) }, func() {
			d.Close(f)
			passphrase, again = "", ""
			d.Toast(frame.Good, "Done: "+e.Name+" is open at "+e.Path+".")
		})
	}
	d.Form(f)
}

// lock closes an encrypted device until its passphrase is typed.
func lock(d *frame.Desk, e v1.EncryptedState) {
	switch {
	case e.Key != "typed":
		d.Say("Encrypted device "+e.Name, "It cannot be locked: its key is "+e.Key+", and it would be opened again by itself.")
		return
	case !e.Open:
		d.Say("Encrypted device "+e.Name, "It is closed already.")
		return
	}
	d.Ask("Lock encrypted device "+e.Name+"?", "It is closed until its passphrase is typed. What stands on it must not be in use: the array refuses it otherwise.", "Lock", func() {
		d.Do("Lock "+e.Name, func(ctx context.Context) error { return d.Client().Lock(ctx, e.Name) }, func() { d.Toast(frame.Good, "Done: "+e.Name+" is closed.") })
	})
}

// recoveryKey shows the recovery key of an encrypted device; where it was shown
// before, a new one takes its place, which is asked about.
func recoveryKey(d *frame.Desk, e v1.EncryptedState) {
	switch {
	case e.Key != "tpm2":
		d.Say("Encrypted device "+e.Name, "Its key is "+e.Key+". Only those whose key is in the machine's TPM have a recovery key.")
	case !e.Made:
		d.Say("Encrypted device "+e.Name, "It is not there: nothing could be recovered.")
	case e.NoBackup:
		d.Ask("Show the recovery key of "+e.Name+"?", "It is shown once: have something to write at hand, and nobody looking.", "Show it", func() { showRecoveryKey(d, e.Name) })
	default:
		d.Ask("Make a new recovery key of "+e.Name+"?", "Its recovery key was shown already. A new one is made in its place, and the old one opens nothing any more.", "Make a new one", func() { showRecoveryKey(d, e.Name) })
	}
}

// showRecoveryKey shows it: it is kept nowhere else.
func showRecoveryKey(d *frame.Desk, name string) {
	frame.Load(d, "Read the recovery key of "+name, func(ctx context.Context) (v1.RecoveryKey, error) { return d.Client().RecoveryKey(ctx, name) }, func(key v1.RecoveryKey) {
		d.Page(&frame.Page{Title: "Recovery key of " + name, Command: "esos encryption recovery-key " + name,
			Text: fmt.Sprintf("The recovery key of %s is shown this one time. Write it down, and keep it away from the array.\n\n    %s\n\nIt opens the data when the machine's board, and with it the TPM, is gone.\n\nEsc goes back.", name, key.Key),
			Help: "It opens the device on another board: cryptsetup open DEVICE NAME. Asked for again, a new one is made, and this one opens nothing any more."})
	})
}
