package filesystems

import (
	"testing"

	"github.com/gdamore/tcell/v2"

	v1 "github.com/esos-project/esos/internal/api/v1"
	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/tui/frame"
)

// TestReadOnly: what the kernel made read-only is not offered for new files.
func TestReadOnly(t *testing.T) {
	t.Parallel()
	a, c := store(t)
	a.Disks.Fail(disk1, false)
	open(t, c, "Add VDisk File")
	c.Wait("Choose a file system that is mounted")
	c.Press(tcell.KeyEnter)
	c.Shows("the kernel made it read-only after an error")
	c.Golden("vdisk-readonly")
	c.Enter()
	c.Shows("It cannot be chosen")
	c.Escape()
	c.Escape()
	open(t, c, "File Systems")
	c.Wait("read-only")
}

// TestNotMounted: what cannot be done to what is not mounted is said.
func TestNotMounted(t *testing.T) {
	t.Parallel()
	_, c := store(t)
	gone := v1.FileSystemState{FileSystem: config.FileSystem{Name: "images"}, Problem: "its device is gone"}
	c.In(func(d *frame.Desk) { files(d, gone) })
	c.Golden("files-unseen")
	c.Enter()
	c.In(func(d *frame.Desk) { trim(d, gone) })
	c.Golden("trim-not-mounted")
	c.Enter()
	c.In(func(d *frame.Desk) { removeUser(d, file{Name: "debian.iso", Devices: []string{"cd1", "cd2"}}) })
	c.Golden("file-used-twice")
	c.Enter()
	open(t, c, "File Systems")
	c.Wait("mounted")
	c.Type("d")
	c.Wait("device db01 has its file there")
	c.Golden("remove-used")
	c.Enter()
	c.In(func(d *frame.Desk) {
		recoveryKey(d, v1.EncryptedState{Encrypted: config.Encrypted{Name: "vault", Key: "tpm2"}, Made: true, NoBackup: true})
	})
	c.Golden("recovery-key-asks")
	c.Escape()
	c.In(func(d *frame.Desk) {
		files(d, v1.FileSystemState{FileSystem: config.FileSystem{Name: dataDirectory}, Mounted: true})
	})
	c.Wait("There is no file here")
	c.Golden("data-directory")
}

func TestStates(t *testing.T) {
	t.Parallel()
	for _, f := range []struct {
		is                  v1.FileSystemState
		state, reads, write string
		level               frame.Level
	}{
		{v1.FileSystemState{Mounted: true, Size: 100, Used: 89}, "mounted", "", "", frame.Plain},
		{v1.FileSystemState{Mounted: true, Size: 100, Used: 90}, "mounted", "", "", frame.Warn},
		{v1.FileSystemState{Mounted: true, Size: 100, Problem: "bad"}, "mounted", "", "", frame.Warn},
		{v1.FileSystemState{}, "not mounted", "it is not mounted", "it is not mounted", frame.Bad},
		{v1.FileSystemState{Problem: "its device is gone"}, "not mounted", "it is not mounted: its device is gone", "it is not mounted: its device is gone", frame.Bad},
	} {
		if s, r, w, l := stateOf(f.is), unreadable(f.is), unwritable(f.is), levelOf(f.is); s != f.state || r != f.reads || w != f.write || l != f.level {
			t.Errorf("%+v: %q, %q, %q, %d", f.is, s, r, w, l)
		}
	}
	for _, e := range []struct {
		is          v1.EncryptedState
		state, lock string
	}{
		{v1.EncryptedState{Open: true, Made: true}, "open", "it is open"},
		{v1.EncryptedState{Waits: true, Encrypted: config.Encrypted{Key: "typed"}}, "waits for a new passphrase", ""},
		{v1.EncryptedState{Waits: true, Made: true, Encrypted: config.Encrypted{Key: "typed"}}, "waits for its passphrase", ""},
		{v1.EncryptedState{Made: true, Encrypted: config.Encrypted{Key: "tpm2"}}, "closed", "its key is tpm2: it is opened by itself"},
		{v1.EncryptedState{Encrypted: config.Encrypted{Key: "file"}}, "not there", "its key is file: it is opened by itself"},
	} {
		if s, l := encryptedState(e.is), unlockable(e.is); s != e.state || l != e.lock {
			t.Errorf("%+v: %q, %q", e.is, s, l)
		}
	}
}

func TestNames(t *testing.T) {
	t.Parallel()
	for name, good := range map[string]bool{"db01.img": true, "": false, " ": false, ".hidden": false, "a/b.img": false, "a\x00": false, "ümläut.img": true} {
		if err := fileName(name); (err == nil) != good {
			t.Errorf("%q: %v", name, err)
		}
	}
	for _, p := range [][3]string{
		{"images", "a.img", "/mnt/vdisks/images/a.img"}, {"images", "a.ISO", "/mnt/vdisks/images/iso/a.ISO"},
		{dataDirectory, "a.img", "devices/a.img"}, {dataDirectory, "a.iso", "iso/a.iso"},
	} {
		if got := place(p[0], p[1]); got != p[2] {
			t.Errorf("%s on %s is put at %s, want %s", p[1], p[0], got, p[2])
		}
	}
}
