package upgrade

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/esos-project/esos/internal/boot"
	"github.com/esos-project/esos/internal/host"
	"github.com/esos-project/esos/internal/medium/grub"
	"github.com/esos-project/esos/internal/slot"
)

func testKey(seed byte) slot.PrivateKey {
	return slot.PrivateKey{Key: ed25519.NewKeyFromSeed(bytes.Repeat([]byte{seed}, ed25519.SeedSize)), Comment: fmt.Sprintf("key %d", seed)}
}

// version makes the directory of a slot, as a build leaves it.
func version(t testing.TB, name string, key slot.PrivateKey, root int) string {
	t.Helper()
	dir := t.TempDir()
	m := slot.Manifest{Version: name, Built: 1_700_000_000, Kernel: "6.12.0-" + name}
	for file, size := range map[string]int{grub.MenuFile: 1500, slot.RootFile: root, slot.KernelFile: 70_001, slot.InitrdFile: 90_000} {
		data := bytes.Repeat([]byte(name+file), size/len(name+file)+1)[:size]
		part, err := slot.Describe(bytes.NewReader(data), file)
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, file), data, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
		m.Parts = append(m.Parts, part)
	}
	data, sig, err := m.Sign(key.Key)
	if err != nil {
		t.Fatal(err)
	}
	for file, data := range map[string][]byte{slot.ManifestFile: data, slot.SignatureFile: sig} {
		if err := os.WriteFile(filepath.Join(dir, file), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// bundle makes an upgrade's bytes.
func bundle(t testing.TB, name string, key slot.PrivateKey, root int) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := WriteBundle(&b, version(t, name, key, root), []slot.PublicKey{key.Public()}); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// appliance is a machine that runs version 1 from PRIMARY, and has it in both
// slots.
type appliance struct {
	*Machine
	dir   string
	saves []string
	fail  error // of attaching
	busy  bool  // another upgrade is at work
	open  int   // partitions
}

type directory struct {
	path string
	a    *appliance
}

func (d directory) Path() string { return d.path }
func (d directory) Close() error { d.a.open--; return nil }

func newAppliance(t testing.TB) *appliance {
	t.Helper()
	a := &appliance{dir: t.TempDir()}
	a.Machine = &Machine{
		Report:  boot.Report{Mode: boot.ModeMemory, Slot: slot.Primary, Version: "1", Options: boot.Options{Slot: slot.Primary}},
		Trusted: []slot.PublicKey{testKey(1).Public()}, Record: filepath.Join(a.dir, "upgrade.json"), lock: filepath.Join(a.dir, "lock"),
		attach: func(_ context.Context, label string) (partition, error) {
			if a.fail != nil {
				return nil, a.fail
			}
			a.open++
			return directory{filepath.Join(a.dir, label), a}, nil
		},
		save:   func(_ context.Context, reason string) error { a.saves = append(a.saves, reason); return nil },
		memory: func() (host.Memory, error) { return host.Memory{Total: 1 << 30, Available: 900 << 20}, nil },
		space:  func(string) (host.Space, error) { return host.Space{Total: 1 << 30, Free: 1 << 29}, nil },
	}
	old := version(t, "1", testKey(1), 300_000)
	for _, name := range grub.Slots() {
		for _, file := range []string{grub.MenuFile, slot.RootFile, slot.KernelFile, slot.InitrdFile, slot.ManifestFile, slot.SignatureFile} {
			data, err := os.ReadFile(filepath.Join(old, file))
			if err != nil {
				t.Fatal(err)
			}
			a.put(t, a.path(slot.Name(name), file), data)
		}
	}
	env, err := grub.Env{grub.EnvDefault: "PRIMARY"}.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	a.put(t, filepath.Join(a.dir, "ESOS_BOOT/grub/grubenv"), env)
	menu, err := os.ReadFile(filepath.Join(old, grub.MenuFile))
	if err != nil {
		t.Fatal(err)
	}
	a.put(t, filepath.Join(a.dir, "ESOS_BOOT/grub/grub.cfg"), menu)
	for _, label := range []string{"esos_conf"} {
		if err := os.MkdirAll(filepath.Join(a.dir, label), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() {
		if a.open != 0 {
			t.Errorf("%d partitions are still attached", a.open)
		}
	})
	return a
}

func (a *appliance) put(t testing.TB, path string, data []byte) {
	t.Helper()
	err := os.MkdirAll(filepath.Dir(path), 0o755)
	if err == nil {
		err = os.WriteFile(path, data, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func (a *appliance) path(name slot.Name, file string) string {
	label := "esos_root"
	if isBootPart(file) {
		label = "ESOS_BOOT"
	}
	return filepath.Join(a.dir, label, string(name), file)
}

// boots is what GRUB would do.
func (a *appliance) told(t testing.TB) Boots {
	t.Helper()
	b, err := ReadBoots(filepath.Join(a.dir, "ESOS_BOOT"))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// medium is all that is on the medium, by path.
func (a *appliance) medium(t testing.TB) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, label := range []string{"ESOS_BOOT", "esos_root", "esos_conf"} {
		err := filepath.WalkDir(filepath.Join(a.dir, label), func(path string, d os.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			data, err := os.ReadFile(path)
			all[path] = string(data)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return all
}

// slots looks at both slots.
func (a *appliance) slots(t testing.TB) (primary, secondary SlotInfo) {
	t.Helper()
	list, err := a.Slots(t.Context(), true)
	if err != nil || len(list) != 2 {
		t.Fatalf("%+v, %v", list, err)
	}
	return list[0], list[1]
}

// upgrade upgrades from a file, or a stream.
func (a *appliance) upgrade(t testing.TB, data []byte, stream bool) error {
	t.Helper()
	var s *Source
	if stream {
		s = &Source{Name: "a stream", size: -1, stream: io.MultiReader(bytes.NewReader(data))}
	} else {
		file := filepath.Join(t.TempDir(), "esos.upgrade")
		a.put(t, file, data)
		var err error
		if s, err = OpenSource(t.Context(), file, nil); err != nil {
			t.Fatal(err)
		}
	}
	p, err := a.Prepare(t.Context(), s)
	if err != nil {
		return errors.Join(err, s.Close())
	}
	return errors.Join(p.Write(t.Context(), &Serving{Revision: 3}), s.Close())
}

// left has the other slot on trial, with so many boots left.
func (a *appliance) left(t testing.TB, n int) {
	t.Helper()
	if err := WriteBoots(filepath.Join(a.dir, "ESOS_BOOT"), Boots{Default: slot.Primary, Trial: slot.Secondary, Left: n}); err != nil {
		t.Fatal(err)
	}
}
