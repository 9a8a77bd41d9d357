package appliance

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/engine/enginetest"
	"github.com/esos-project/esos/internal/host/storagefake"
	"github.com/esos-project/esos/internal/layer/network/networktest"
)

const vaultDisk = "/dev/disk/by-id/virtio-data01"

// withDisk is an appliance on a machine that is its own, with a disk of 10 GiB.
func withDisk(t *testing.T) (*Appliance, *storagefake.Machine, *enginetest.Memory) {
	t.Helper()
	m := storagefake.New()
	m.Disk("vda", "data01", 10<<30)
	e := &enginetest.Memory{}
	a, err := Open(t.Context(), Options{DataDir: t.TempDir(), Engine: e, Log: quiet(), Retry: time.Hour, OwnsMachine: true,
		Network: networktest.New("eth0"), Storage: m, Files: storagefake.Images{Machine: m}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	})
	return a, m, e
}

func vault(key string) *config.Document {
	d := &config.Document{Version: config.Version, Name: "array1"}
	d.Storage.Encrypted = []config.Encrypted{{Name: "vault", Device: vaultDisk, Key: key}}
	return d
}

func encryptedNow(t *testing.T, a *Appliance) Encrypted {
	t.Helper()
	all, err := a.Encrypted(t.Context())
	if err != nil || len(all) != 1 {
		t.Fatalf("%+v, %v", all, err)
	}
	return all[0]
}

// TestUnlock follows a passphrase: the first makes the device, and after a
// reboot everything on it waits for whoever types it.
func TestUnlock(t *testing.T) {
	const passphrase = "several words are good"
	a, m, e := withDisk(t)
	apply(t, a, Change{Document: vault("typed")})
	if now := encryptedNow(t, a); now.Open || now.Made || !now.Waits || !strings.Contains(now.Problem, "waits for its passphrase") {
		t.Errorf("before anybody typed: %+v", now)
	}
	for _, c := range []struct {
		name, key string
		mayMake   bool
		says      string
		is        error
	}{
		{"vault", passphrase, false, "typed twice", ErrNotNow},
		{"vault", "short", true, "at least 12", ErrNotNow},
		{"cellar", passphrase, false, "not found", config.ErrNotFound},
	} {
		if err := a.Unlock(t.Context(), c.name, []byte(c.key), c.mayMake); !errors.Is(err, c.is) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("unlock %s with %q: %v", c.name, c.key, err)
		}
	}
	if err := a.Unlock(t.Context(), "vault", []byte(passphrase), true); err != nil {
		t.Fatal(err)
	}
	if now := encryptedNow(t, a); !now.Open || !now.Made || now.Waits || now.Size != 10<<30-16<<20 || !m.Opens(vaultDisk, passphrase) {
		t.Errorf("after that: %+v", now)
	}
	if err := a.Unlock(t.Context(), "vault", []byte(passphrase), false); !errors.Is(err, ErrNotNow) {
		t.Errorf("unlocked twice: %v", err)
	}
	full := vault("typed")
	full.Storage.FileSystems = []config.FileSystem{{Name: "images", Device: "/dev/mapper/vault"}}
	full.Devices = append(full.Devices, config.Device{Name: "db01", Handler: config.FileIO, Path: "/mnt/vdisks/images/db01.img", Size: 1 << 30})
	apply(t, a, Change{Document: full})
	if err := a.Lock(t.Context(), "vault"); !errors.Is(err, ErrNotNow) || !strings.Contains(err.Error(), "in use") {
		t.Errorf("locked under a file system: %v", err)
	}
	files, err := a.FilesOn(t.Context(), "images")
	if err != nil || len(files) != 1 || files[0].Device != "db01" || files[0].Size != 1<<30 {
		t.Errorf("files: %+v, %v", files, err)
	}

	m.Unmounted()
	m.Locked()
	e.Forget()
	if err := a.Reconcile(t.Context()); err != nil {
		t.Fatal(err)
	}
	if now := encryptedNow(t, a); now.Open || !now.Made || !now.Waits {
		t.Errorf("after a reboot: %+v", now)
	}
	if _, err := a.FilesOn(t.Context(), "images"); !errors.Is(err, ErrNotNow) {
		t.Errorf("files of what is not mounted: %v", err)
	}
	if err := a.Unlock(t.Context(), "vault", []byte("another one, and wrong"), false); !errors.Is(err, ErrNotNow) || !strings.Contains(err.Error(), "does not fit") {
		t.Errorf("a wrong passphrase: %v", err)
	}
	if err := a.Unlock(t.Context(), "vault", []byte(passphrase), false); err != nil {
		t.Fatal(err)
	}
	if files, err := a.FilesOn(t.Context(), "images"); err != nil || len(files) != 1 {
		t.Errorf("what stands on it did not come up: %+v, %v", files, err)
	}
	if len(a.keys.typed) > 0 {
		t.Error("a passphrase is still in memory")
	}
	if len(m.Lost()) > 0 {
		t.Errorf("lost: %q", m.Lost())
	}
	events, err := a.Events(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, ev := range events {
		if strings.Contains(ev.Message, passphrase) {
			t.Errorf("a passphrase is in an event: %s", ev.Message)
		}
	}
}

// TestUnlockBefore: a passphrase that comes before the document makes what that
// declares, all of it in one change.
func TestUnlockBefore(t *testing.T) {
	a, m, _ := withDisk(t)
	if err := a.Unlock(t.Context(), "vault", []byte("several words are good"), true); err != nil {
		t.Fatal(err)
	}
	full := vault("typed")
	full.Storage.FileSystems = []config.FileSystem{{Name: "images", Device: "/dev/mapper/vault"}}
	apply(t, a, Change{Document: full})
	if now := encryptedNow(t, a); !now.Open || !m.Opens(vaultDisk, "several words are good") || len(a.keys.typed) > 0 {
		t.Errorf("%+v, %d passphrases in memory", now, len(a.keys.typed))
	}
}

// TestRecoveryKey: it is shown once; then a new one takes its place.
func TestRecoveryKey(t *testing.T) {
	a, m, _ := withDisk(t)
	apply(t, a, Change{Document: vault("tpm2")})
	if now := encryptedNow(t, a); !now.Open || !now.Unseen {
		t.Errorf("%+v", now)
	}
	first, err := a.RecoveryKey(t.Context(), "vault")
	if err != nil || !m.Opens(vaultDisk, first) {
		t.Fatalf("%q, %v", first, err)
	}
	if now := encryptedNow(t, a); now.Unseen {
		t.Errorf("it was shown, and yet: %+v", now)
	}
	second, err := a.RecoveryKey(t.Context(), "vault")
	if err != nil || second == first || !m.Opens(vaultDisk, second) || m.Opens(vaultDisk, first) {
		t.Errorf("asked again: %q, %v", second, err)
	}
	if err := a.Unlock(t.Context(), "vault", []byte("several words are good"), false); !errors.Is(err, ErrNotNow) {
		t.Errorf("unlocked by hand: %v", err)
	}
}

// TestKeysExpire: what nobody used is not held for long.
func TestKeysExpire(t *testing.T) {
	now := time.Unix(0, 0)
	k := newStorageKeys(func() time.Time { return now })
	key := []byte("secret")
	k.put("vault", key, true)
	held := k.typed["vault"].key
	if got, mayMake := k.Typed("vault"); string(got) != "secret" || !mayMake {
		t.Errorf("%q %v", got, mayMake)
	}
	now = now.Add(keyTime + time.Second)
	if got, _ := k.Typed("vault"); got != nil {
		t.Errorf("after %v there is still %q", keyTime, got)
	}
	if k.expire(); len(k.typed) > 0 || strings.Trim(string(held), "\x00") != "" {
		t.Errorf("it is still in memory: %q", held)
	}
}
