package filesystems

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/gdamore/tcell/v2"

	"github.com/esos-project/esos/internal/api/apitest"
	v1 "github.com/esos-project/esos/internal/api/v1"
	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/tui/tuitest"
)

const passphrase = "two words ok"

// vault is the one encrypted device of an array, as it is.
func vault(t *testing.T, a *apitest.Array) v1.EncryptedState {
	t.Helper()
	all, err := a.Client.Encrypted(t.Context())
	if err != nil || len(all) != 1 {
		t.Fatalf("encrypted devices: %+v, %v", all, err)
	}
	return all[0]
}

// unsaid fails if the passphrase is where others could read it.
func unsaid(t *testing.T, a *apitest.Array) {
	t.Helper()
	events, err := a.Appliance.Events(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range events {
		if strings.Contains(e.Message, passphrase) {
			t.Errorf("the passphrase is in an event: %s", e.Message)
		}
	}
	revisions, err := a.Client.Revisions(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range revisions {
		if strings.Contains(r.Why, passphrase) {
			t.Errorf("the passphrase is in the history: %s", r.Why)
		}
	}
}

func TestEncryptTyped(t *testing.T) {
	t.Parallel()
	a := apitest.New(t, apitest.Options{Disks: 1})
	c := tuitest.New(t, tuitest.Options{Client: a.Client})
	open(t, c, "Encrypted Devices")
	c.Wait("No device is encrypted")
	c.Golden("encrypted-empty")
	c.Type("a")
	c.Wait("Add encrypted device")
	c.Golden("encrypt")
	pickOption(c, "d1")
	c.Field("vault")
	c.Type(" ")
	c.Golden("encrypt-keys")
	c.Type("typed")
	c.Enter()
	c.Type("short")
	c.Shows("5 characters of at least 12")
	c.Field(passphrase)
	c.Type("other")
	c.Shows("not the same as above")
	c.Golden("encrypt-typed")
	c.Field(passphrase)
	c.Enter()
	c.CarryOut()
	c.Gone("Add encrypted device")
	if now := vault(t, a); !now.Open || now.Key != "typed" || !a.Disks.Opens(disk1, passphrase) {
		t.Errorf("it is %+v", now)
	}
	unsaid(t, a)
	c.Wait("open")
	c.Enter()
	c.Wait("/dev/mapper/vault")
	c.Escape()

	c.Type("u")
	c.Wait("It cannot be unlocked: it is open")
	c.Enter()
	c.Type("l")
	c.Wait("Lock encrypted device vault?")
	c.Golden("lock-encrypted-device")
	c.Press(tcell.KeyLeft, tcell.KeyEnter)
	c.Wait("waits for its passphrase")
	c.Wait("Done: vault is closed")

	c2 := tuitest.New(t, tuitest.Options{Client: a.Client})
	open(t, c2, "Unlock Encrypted Device")
	c2.Wait("Which one?")
	c2.Golden("unlock-picker")
	c2.Enter()
	c2.Wait("Unlock encrypted device vault")
	c2.Golden("unlock")
	c2.Field("wrong")
	c2.Enter()
	c2.Wait("Unlock vault: that failed")
	c2.Enter()
	c2.Press(tcell.KeyBacktab)
	c2.Field(passphrase)
	c2.Enter()
	c2.Wait("Done: vault is open at /dev/mapper/vault")
	if now := vault(t, a); !now.Open {
		t.Errorf("it is %+v", now)
	}
	unsaid(t, a)
}

func TestEncryptTPM(t *testing.T) {
	t.Parallel()
	a := apitest.New(t, apitest.Options{Disks: 1})
	c := tuitest.New(t, tuitest.Options{Client: a.Client, Now: func() time.Time { return time.Unix(1_800_000_000, 0) }}) // the word at the bottom stays
	open(t, c, "Add Encrypted Device")
	pickOption(c, "d1")
	c.Field("vault")
	pickOption(c, "tpm2")
	c.Shows("A recovery key is shown once at the end")
	c.Enter()
	c.Wait("Press c to carry this out")
	c.Type("c")
	c.Wait("Carry this out?")
	c.Press(tcell.KeyLeft, tcell.KeyEnter)
	c.Wait("The recovery key of vault is shown this one time")
	key := ""
	for line := range strings.SplitSeq(c.Text(), "\n") { // the only one that is set in
		if in, ok := strings.CutPrefix(strings.Trim(line, "│"), "     "); ok && strings.Trim(in, " │") != "" {
			key = strings.Trim(in, " │")
		}
	}
	if key == "" || !a.Disks.Opens(disk1, key) {
		t.Errorf("the key that is shown, %q, does not open it", key)
	}
	c.Golden("recovery-key", key, strings.Repeat("k", len(key)))
	c.Escape()
	c.Gone("is shown this one time")
	if now := vault(t, a); !now.Open || now.NoBackup {
		t.Errorf("it is %+v", now)
	}
	open(t, c, "Encrypted Devices")
	c.Wait("tpm2")
	c.Type("r")
	c.Wait("Make a new recovery key of vault?")
	c.Golden("make-a-new-recovery-key-of")
	c.Escape()
	c.Type("l")
	c.Wait("It cannot be locked: its key is tpm2")
}

func TestEncryptFile(t *testing.T) {
	t.Parallel()
	a := apitest.New(t, apitest.Options{Disks: 2})
	c := tuitest.New(t, tuitest.Options{Client: a.Client})
	open(t, c, "Add Encrypted Device")
	pickOption(c, "d1")
	c.Field("vault")
	pickOption(c, "file")
	c.Shows("The key is among the saved settings")
	c.Enter()
	c.CarryOut()
	if now := vault(t, a); !now.Open || now.Key != "file" {
		t.Errorf("it is %+v", now)
	}
	change(t, a, func(doc *config.Document) {
		doc.Storage.FileSystems = []config.FileSystem{{Name: "images", Device: "/dev/mapper/vault"}}
	})
	c2 := tuitest.New(t, tuitest.Options{Client: a.Client})
	open(t, c2, "Encrypted Devices")
	c2.Wait("vault")
	c2.Golden("encrypted")
	c2.Enter()
	c2.Wait("file system images")
	c2.Golden("encrypted-details")
	c2.Escape()
	c2.Type("d")
	c2.Wait("cannot be removed")
	c2.Golden("encrypted-device-cannot-be-removed")
	c2.Enter()
	change(t, a, func(doc *config.Document) { doc.Storage.FileSystems = nil })
	c2.Type("d")
	c2.Wait("Remove encrypted device vault")
	c2.Golden("encrypted-remove")
	c2.Type(" ")
	c2.Golden("choose-what-it-holds")
	c2.Escape()
	pickOption(c2, "lost")
	c2.Enter()
	c2.Destroy("encrypted/vault")
	if all, err := a.Client.Encrypted(t.Context()); err != nil || len(all) > 0 {
		t.Errorf("encrypted devices: %+v, %v", all, err)
	}
	if lost := a.Disks.Lost(); len(lost) == 0 {
		t.Error("its keys were not erased")
	}
}

// TestEncryptTakeUp: what another system encrypted is taken up with its
// passphrase.
func TestEncryptTakeUp(t *testing.T) {
	t.Parallel()
	a := apitest.New(t, apitest.Options{Disks: 1})
	const uuid = "6ba7b810-9dad-41d1-80b4-00c04fd430c8"
	if _, err := a.Disks.Input("cryptsetup", "theirs", "luksFormat", "--batch-mode", "--uuid", uuid, "/dev/vda"); err != nil {
		t.Fatal(err)
	}
	c := tuitest.New(t, tuitest.Options{Client: a.Client})
	open(t, c, "Add Encrypted Device")
	pickOption(c, "d1")
	c.Shows("take it up")
	c.Press(tcell.KeyTab)
	c.Field("vault")
	c.Enter()
	c.CarryOut()
	c.Wait("Unlock encrypted device vault")
	c.Field("theirs")
	c.Enter()
	c.Wait("Done: vault is open")
	if now := vault(t, a); !now.Open || now.UUID != uuid || len(a.Disks.Lost()) > 0 {
		t.Errorf("it is %+v; lost: %q", now, a.Disks.Lost())
	}
}

// TestUnlockMakes: one that was declared without its passphrase is made when a
// new one is typed.
func TestUnlockMakes(t *testing.T) {
	t.Parallel()
	a := apitest.New(t, apitest.Options{Disks: 1})
	change(t, a, func(doc *config.Document) {
		doc.Storage.Encrypted = []config.Encrypted{{Name: "vault", Device: disk1, Key: "typed"}}
	})
	c := tuitest.New(t, tuitest.Options{Client: a.Client})
	open(t, c, "Unlock Encrypted Device")
	c.Wait("waits for a new passphrase")
	c.Enter()
	c.Wait("passphrase is a new one")
	c.Golden("unlock-new")
	c.Field("short")
	c.Field("short")
	c.Enter() // refused: the cursor is back in the field
	c.Shows("5 characters of at least 12")
	c.Field(passphrase)
	c.Field(passphrase)
	c.Enter()
	c.Wait("Done: vault is open at /dev/mapper/vault")
	if now := vault(t, a); !now.Open || !a.Disks.Opens(disk1, passphrase) {
		t.Errorf("it is %+v", now)
	}
	open(t, c, "Unlock Encrypted Device")
	c.Wait("No encrypted device waits for a passphrase")
	unsaid(t, a)
}
