package encrypted_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/engine/enginetest"
	"github.com/esos-project/esos/internal/host/block"
	"github.com/esos-project/esos/internal/host/storagefake"
	"github.com/esos-project/esos/internal/layer"
	"github.com/esos-project/esos/internal/layer/device"
	"github.com/esos-project/esos/internal/layer/disk"
	"github.com/esos-project/esos/internal/layer/encrypted"
	"github.com/esos-project/esos/internal/layer/filesystem"
	"github.com/esos-project/esos/internal/layer/lvm"
	"github.com/esos-project/esos/internal/layer/vdisk"
	"github.com/esos-project/esos/internal/plan"
)

var update = flag.Bool("update", false, "write golden files anew")

const (
	arrayID    = "6ba7b810-9dad-41d1-80b4-00c04fd430c8"
	disk1      = "/dev/disk/by-id/virtio-data01"
	disk2      = "/dev/disk/by-id/virtio-data02"
	foreign    = "99999999-2222-8333-8444-555555555555"
	keyFile    = "/data/keys/vault"
	passphrase = "a long enough passphrase"
	gib        = int64(1) << 30
)

// ring is keys in memory.
type ring struct {
	typed   map[string]string
	mayMake bool
	shown   map[string]string
}

func (r *ring) Typed(name string) ([]byte, bool) {
	if key, ok := r.typed[name]; ok {
		return []byte(key), r.mayMake
	}
	return nil, false
}

func (r *ring) Forget(name string) { delete(r.typed, name) }

func (r *ring) Show(name, key string) { r.shown[name] = key }

// bench is a machine of two disks, its keys, and who serves.
type bench struct {
	*storagefake.Machine
	engine *enginetest.Memory
	keys   *ring
}

func newBench() bench {
	m := storagefake.New()
	m.Disk("vda", "data01", 10*gib)
	m.Disk("vdb", "data02", 20*gib)
	return bench{m, &enginetest.Memory{}, &ring{typed: map[string]string{}, shown: map[string]string{}}}
}

func (s bench) stack() []layer.Layer {
	return []layer.Layer{disk.Layer{Machine: s.Machine}, encrypted.Layer{Machine: s.Machine, Keys: s.keys, DataDir: "/data"},
		lvm.Layer{Machine: s.Machine, Backups: "/data/lvm"},
		encrypted.Layer{Machine: s.Machine, Keys: s.keys, DataDir: "/data", OnVolumes: true}, filesystem.Layer{Machine: s.Machine},
		vdisk.Layer{Files: storagefake.Images{Machine: s.Machine}, DataDir: "/data", InMemory: true}, device.Layer{Engine: s.engine}}
}

// reboot ends everything but what is on the disks and in files.
func (s bench) reboot() {
	s.Unmounted()
	s.Locked()
	s.RebootLVM()
	s.Locked()
	s.engine.Forget()
	clear(s.keys.typed)
}

func (s bench) typed(mayMake bool) { s.keys.typed["vault"], s.keys.mayMake = passphrase, mayMake }

func (s bench) planned(t *testing.T, inForce, declared *config.Document, destroy ...string) *plan.Plan {
	t.Helper()
	seen := &layer.Observed{InForce: inForce, Destroy: destroy}
	var b plan.Builder
	for _, l := range s.stack() {
		if err := l.Observe(t.Context(), declared, seen); err != nil {
			t.Fatal(err)
		}
	}
	for _, l := range s.stack() {
		b.Layer()
		l.Plan(declared, seen, &b)
	}
	p, err := b.Plan()
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func (s bench) serve(t *testing.T, doc *config.Document) {
	t.Helper()
	s.typed(true)
	p := s.planned(t, nil, doc)
	if len(p.Problems) > 0 || len(p.Needs(nil)) > 0 {
		t.Fatalf("cannot be served:\n%s", p.Text(nil))
	}
	if _, err := (plan.Runner{}).Run(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	clear(s.keys.typed)
}

// document has one encrypted disk, and a device on it.
func document(t *testing.T, key string) *config.Document {
	t.Helper()
	d := &config.Document{
		Version: config.Version, Name: "array1", ID: arrayID,
		Storage: config.Storage{Encrypted: []config.Encrypted{{Name: "vault", Device: disk1, Key: key}}},
		Devices: []config.Device{{Name: "db01", Handler: config.BlockIO, Path: "/dev/mapper/vault"}},
	}
	complete(t, d, nil)
	return d
}

func complete(t *testing.T, d, before *config.Document) {
	t.Helper()
	if err := config.Complete(d, before); err != nil {
		t.Fatal(err)
	}
	if err := d.Validate().Err(); err != nil {
		t.Fatal(err)
	}
}

// encrypt makes encrypted data that are not ESOS's.
func encrypt(s bench, device, uuid string) {
	if _, err := s.Input("cryptsetup", "their key", "luksFormat", "--batch-mode", "--uuid", uuid, "--key-file=-", device); err != nil {
		panic(err)
	}
	s.Look(device).Owner = "theirs"
}

// Each case is a machine that serves a document, what happened to it, and what
// is wanted then. The golden file is the plan; carried out, nothing must be left to do.
func TestPlans(t *testing.T) {
	fileSystem := func(d *config.Document) {
		d.Storage.FileSystems = []config.FileSystem{{Name: "images", Device: "/dev/mapper/vault"}}
		d.Devices = []config.Device{{Name: "db01", Handler: config.FileIO, Path: "/mnt/vdisks/images/db01.img", Size: 1 << 30}}
	}
	gone := func(d *config.Document) { d.Storage.Encrypted, d.Devices = nil, nil }
	for _, c := range []struct {
		name    string
		key     string // file if empty
		fresh   bool   // nothing is served yet, nothing in force
		setup   func(d *config.Document)
		tamper  func(s bench)
		edit    func(d *config.Document)
		named   []string
		refused bool     // it cannot be carried out
		fails   bool     // it fails
		stays   bool     // it does not lead to what is declared
		lost    []string // whose data is gone at the end
	}{
		{name: "first-file", fresh: true},
		{name: "first-tpm2", key: "tpm2", fresh: true},
		{name: "first-typed", key: "typed", fresh: true, tamper: func(s bench) { s.typed(true) }},
		{name: "first-typed-waits", key: "typed", fresh: true, edit: func(d *config.Document) { d.Devices = nil }},
		{name: "first-typed-with-device", key: "typed", fresh: true, refused: true},
		{name: "first-filesystem", fresh: true, edit: fileSystem},
		{name: "no-tpm", key: "tpm2", fresh: true, tamper: func(s bench) { s.TPM(false) }, fails: true},
		{name: "same"},
		{name: "same-tpm2", key: "tpm2"},
		{name: "boot-file", tamper: func(s bench) { s.reboot() }},
		{name: "boot-tpm2", key: "tpm2", tamper: func(s bench) { s.reboot() }},
		{name: "boot-typed-waits", key: "typed", tamper: func(s bench) { s.reboot() }},
		{name: "boot-typed", key: "typed", tamper: func(s bench) { s.reboot(); s.typed(false) }},
		{name: "boot-typed-wrong", key: "typed", tamper: func(s bench) { s.reboot(); s.keys.typed["vault"] = "another" }, fails: true, stays: true},
		{name: "boot-filesystem", setup: fileSystem, tamper: func(s bench) { s.reboot() }},
		{name: "boot-no-key", tamper: func(s bench) { s.reboot(); _ = s.Delete(keyFile) }},
		{name: "boot-no-tpm", key: "tpm2", tamper: func(s bench) { s.reboot(); s.TPM(false) }, fails: true},
		{name: "declared-then-typed", key: "typed", tamper: func(s bench) { s.reboot(); s.Pull("vda"); s.Disk("vda", "data01", 10*gib); s.typed(true) }, lost: nil},
		{name: "blank-typed-no-new", key: "typed", tamper: func(s bench) { s.reboot(); s.Pull("vda"); s.Disk("vda", "data01", 10*gib); s.typed(false) }},
		{name: "foreign", fresh: true, tamper: func(s bench) { encrypt(s, disk1, foreign) }, named: []string{"disk/virtio-data01"}, lost: []string{"theirs"}},
		{name: "taken-up", key: "typed", fresh: true, edit: func(d *config.Document) { d.Storage.Encrypted[0].UUID = foreign },
			tamper: func(s bench) { encrypt(s, disk1, foreign); s.keys.typed["vault"] = "their key" }},
		{name: "taken-up-missing", fresh: true, edit: func(d *config.Document) { d.Storage.Encrypted[0].UUID = foreign }, refused: true},
		{name: "ours-without-key", fresh: true, tamper: func(s bench) { encrypt(s, disk1, config.DerivedUUID(arrayID, "encrypted/vault")) },
			named: []string{"disk/virtio-data01"}, lost: []string{"theirs"}},
		{name: "pulled", tamper: func(s bench) { s.reboot(); s.Pull("vda") }},
		{name: "wiped", tamper: func(s bench) { s.reboot(); s.Look(disk1).Content = nil }},
		{name: "other-there", tamper: func(s bench) { s.reboot(); s.Look(disk1).Content = []block.Content{{Type: "xfs", UUID: foreign}} }},
		{name: "too-small", fresh: true, tamper: func(s bench) { s.Look(disk1).Size = 20 << 20 }, refused: true},
		{name: "on-volume", fresh: true, edit: onVolume},
		{name: "on-volume-boot", setup: onVolume, tamper: func(s bench) { s.reboot() }},
		{name: "on-volume-pulled", setup: onVolume, tamper: func(s bench) { s.reboot(); s.Pull("vdb") }},
		{name: "on-volume-grow", setup: onVolume, edit: func(d *config.Document) { d.Storage.VolumeGroups[0].Volumes[0].Size = 7 << 30 }},
		{name: "on-volume-delete", setup: onVolume, edit: func(d *config.Document) { gone(d); d.Storage.VolumeGroups[0].Volumes = nil },
			named: []string{"encrypted/vault", "volume/vg0/lv"}, lost: []string{"encrypted/vault"}},
		{name: "below-group", fresh: true, edit: belowGroup},
		{name: "below-group-boot", setup: belowGroup, tamper: func(s bench) { s.reboot() }},
		{name: "below-group-typed-waits", key: "typed", setup: belowGroup, tamper: func(s bench) { s.reboot() }},
		{name: "below-group-grow", setup: belowGroup, tamper: func(s bench) { s.Look(disk1).Size = 15 * gib }},
		{name: "two-deep", fresh: true, edit: func(d *config.Document) {
			d.Storage.Encrypted = append([]config.Encrypted{{Name: "inner", Device: "/dev/mapper/vault", Key: "file"}}, d.Storage.Encrypted...)
			d.Devices[0].Path = "/dev/mapper/inner"
		}},
		{name: "grow", tamper: func(s bench) { s.Look(disk1).Size = 15 * gib }},
		{name: "grow-filesystem", setup: fileSystem, tamper: func(s bench) { s.Look(disk1).Size = 15 * gib }},
		{name: "another-key", edit: func(d *config.Document) { d.Storage.Encrypted[0].Key = "tpm2" }, refused: true},
		{name: "moved", edit: func(d *config.Document) { d.Storage.Encrypted[0].Device = disk2 }, refused: true},
		{name: "remove-used", edit: func(d *config.Document) { d.Storage.Encrypted = nil }, refused: true},
		{name: "remove", edit: gone},
		{name: "delete", edit: gone, named: []string{"encrypted/vault"}, lost: []string{"encrypted/vault"}},
		{name: "delete-filesystem", setup: fileSystem, edit: func(d *config.Document) { gone(d); d.Storage.FileSystems = nil },
			named: []string{"encrypted/vault", "filesystem/images"}, lost: []string{"filesystem/images", "encrypted/vault"}},
		{name: "delete-unknown", named: []string{"encrypted/never"}, refused: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newBench()
			key := c.key
			if key == "" {
				key = "file"
			}
			doc := document(t, key)
			if c.setup != nil {
				c.setup(doc)
				complete(t, doc, nil)
			}
			declared, inForce := doc.Clone(), doc
			if c.fresh {
				inForce = nil
			} else {
				s.serve(t, doc)
			}
			if c.edit != nil {
				c.edit(declared)
				complete(t, declared, inForce)
			}
			if c.tamper != nil {
				c.tamper(s)
			}
			p := s.planned(t, inForce, declared, c.named...)
			text := p.Text(c.named)
			if len(c.named) > 0 {
				unnamed := s.planned(t, inForce, declared)
				text = unnamed.Text(nil) + "--- with " + strings.Join(c.named, ", ") + " named\n" + text
			}
			golden(t, c.name+".txt", text)
			if c.refused {
				if len(p.Problems) == 0 {
					t.Error("it is not refused")
				}
				return
			}
			if needs := p.Needs(c.named); len(needs) > 0 || len(p.Problems) > 0 {
				t.Fatalf("refused: %q %v", needs, p.Problems)
			}
			_, err := (plan.Runner{}).Run(t.Context(), p)
			if diff := cmp.Diff(c.lost, s.Lost()); diff != "" {
				t.Errorf("lost (-want +got):\n%s", diff)
			}
			if (err != nil) != c.fails {
				t.Fatal(err)
			}
			for _, call := range s.Calls() {
				if strings.Contains(call, passphrase) || strings.Contains(call, "their key") {
					t.Errorf("a key is among the arguments: %s", call)
				}
			}
			if c.fails {
				return
			}
			if len(s.keys.typed) > 0 && c.key == "typed" && len(p.Steps) > 0 {
				t.Error("the passphrase is still in memory")
			}
			if again := s.planned(t, declared, declared); !again.Empty() {
				t.Errorf("carried out, there is still to do:\n%s", again.Text(nil))
			}
		})
	}
}

func onVolume(d *config.Document) {
	d.Storage.VolumeGroups = []config.VolumeGroup{{Name: "vg0", Devices: []string{disk2}, Volumes: []config.Volume{{Name: "lv", Size: 5 << 30}}}}
	d.Storage.Encrypted[0].Device = "/dev/vg0/lv"
}

func belowGroup(d *config.Document) {
	d.Storage.VolumeGroups = []config.VolumeGroup{{Name: "vg0", Devices: []string{"/dev/mapper/vault"}, Volumes: []config.Volume{{Name: "lv", Size: 5 << 30}}}}
	d.Devices[0].Path = "/dev/vg0/lv"
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}

// TestKeys: where keys are, and where they are not.
func TestKeys(t *testing.T) {
	s := newBench()
	s.serve(t, document(t, "file"))
	key, err := s.ReadFile(keyFile)
	if err != nil || len(key) != 64 || !s.Opens(disk1, string(key)) {
		t.Fatalf("the key of the file: %d bytes, %v", len(key), err)
	}
	if mode := s.Mode(keyFile); mode != 0o600 {
		t.Errorf("the key can be read with mode %o", mode)
	}
	calls := strings.Join(s.Calls(), "\n")
	if saved, formatted := strings.Index(calls, "save "+keyFile), strings.Index(calls, "luksFormat"); saved < 0 || saved > formatted {
		t.Errorf("the key is not kept before what it opens is made:\n%s", calls)
	}

	s = newBench()
	s.serve(t, document(t, "tpm2"))
	recovery := s.keys.shown["vault"]
	if len(recovery) != 8*8+7 || !s.Opens(disk1, recovery) {
		t.Errorf("the recovery key is %q", recovery)
	}
	if _, err := s.ReadFile(keyFile); err == nil {
		t.Error("a key that a TPM keeps is in a file, too")
	}

	s = newBench()
	s.serve(t, document(t, "typed"))
	if _, err := s.ReadFile(keyFile); err == nil || !s.Opens(disk1, passphrase) {
		t.Error("a typed passphrase is in a file, or opens nothing")
	}
}
