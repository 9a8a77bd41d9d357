package persist

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func withCancelled(t *testing.T) (context.Context, context.CancelFunc) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx, cancel
}

// two saves "old" and then "new" in etc/hosts.
func two(t *testing.T) (dir string, s shelf) {
	t.Helper()
	upper := t.TempDir()
	dir = t.TempDir()
	for _, text := range []string{"old", "new"} {
		fill(t, upper, map[string]string{"etc/hosts": text})
		mustSave(t, dir, upper, Options{Reason: text})
	}
	s, err := openShelf(dir)
	if err != nil || len(s.ordered) != 2 || s.current != 2 {
		t.Fatalf("shelf: %+v, %v", s, err)
	}
	return dir, s
}

// restored says what etc/hosts is after a Restore into an empty directory.
func restored(t *testing.T, dir string) (string, Restored) {
	t.Helper()
	upper := filepath.Join(t.TempDir(), "upper")
	r := mustRestore(t, dir, upper)
	text, err := os.ReadFile(filepath.Join(upper, "etc/hosts"))
	if err != nil && r.From != FromNothing {
		t.Fatal(err)
	}
	if err == nil && r.From == FromNothing {
		t.Fatalf("something came back, and Restore says nothing did: %+v", r)
	}
	return string(text), r
}

// TestEveryByte flips a bit in each byte of each file of the newest generation,
// and cuts each file everywhere: the generation before comes back, and the
// answer says why.
func TestEveryByte(t *testing.T) {
	dir, s := two(t)
	upper := t.TempDir()
	whole := s.ordered[0]
	for _, file := range []string{s.path(2, archiveSuffix), s.path(2, recordSuffix), filepath.Join(dir, currentName)} {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		damage := func(what string, i int, bad []byte) {
			t.Helper()
			if err := os.WriteFile(file, bad, 0o600); err != nil {
				t.Fatal(err)
			}
			r := mustRestore(t, dir, upper)
			text, err := os.ReadFile(filepath.Join(upper, "etc/hosts"))
			switch got := string(text); {
			case err != nil:
				t.Fatal(err)
			case filepath.Base(file) == currentName && got == "new":
				// That file is a hint: all is there without it.
			case filepath.Base(file) != currentName && got == "old" && len(r.Skipped) == 1 && r.Skipped[0].Name == "generation 2":
			case filepath.Ext(file) == recordSuffix && got == "new" && *r.Generation == whole:
				// The case of a key, or the blank at the end: it says the same.
			default:
				t.Fatalf("%s, %s %d: %q came back, %+v", filepath.Base(file), what, i, got, r)
			}
		}
		for i := range data {
			for _, bit := range []byte{0x01, 0x20, 0x80} {
				bad := bytes.Clone(data)
				bad[i] ^= bit
				damage("flipped byte", i, bad)
			}
			damage("cut to", i, data[:i])
		}
		if err := os.WriteFile(file, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// TestEveryByteOfSlots damages each byte of what is remembered of the slots:
// the newest settings come back, and it is said, or those that were meant.
func TestEveryByteOfSlots(t *testing.T) {
	dir := inMemory(t)
	saveAs(t, dir, "PRIMARY", "old", 0)
	saveAs(t, dir, "SECONDARY", "new", 0)
	file := filepath.Join(dir, slotsName)
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	noticed := 0
	damage := func(what string, i int, bad []byte) {
		t.Helper()
		if err := os.WriteFile(file, bad, 0o600); err != nil {
			t.Fatal(err)
		}
		got, r := restoredAs(t, dir, "PRIMARY")
		switch {
		case got == "new" && len(r.Skipped) == 1:
			noticed++
		case got == "old" && len(r.Skipped) == 0: // the case of a key, or the blank at the end
		default:
			t.Fatalf("%s %d: %q came back, %+v", what, i, got, r)
		}
		if got, r := restoredAs(t, dir, ""); got != "new" || len(r.Skipped) > 0 {
			t.Fatalf("%s %d, and nobody asks: %q came back, %+v", what, i, got, r)
		}
	}
	for i := range data {
		for _, bit := range []byte{0x01, 0x20, 0x80} {
			bad := bytes.Clone(data)
			bad[i] ^= bit
			damage("flipped byte", i, bad)
		}
		damage("cut to", i, data[:i])
	}
	if noticed < 3*len(data) {
		t.Errorf("of %d damages %d were noticed", 4*len(data), noticed)
	}
}

func TestDamage(t *testing.T) {
	for _, tt := range []struct {
		name   string
		do     func(dir string, s shelf) error
		want   string
		why    []string
		seeded string
	}{
		{name: "nothing", want: "new"},
		{name: "no current", do: func(dir string, s shelf) error { return os.Remove(filepath.Join(dir, currentName)) }, want: "new"},
		{name: "no archive", do: func(dir string, s shelf) error { return os.Remove(s.path(2, archiveSuffix)) }, want: "old", why: []string{"archive is missing"}},
		{name: "no record", do: func(dir string, s shelf) error { return os.Remove(s.path(2, recordSuffix)) }, want: "old", why: []string{"not completed"}},
		{name: "another's record", do: func(dir string, s shelf) error {
			return os.Rename(s.path(1, recordSuffix), s.path(2, recordSuffix))
		}, want: "", why: []string{"record of generation 1", "not completed"}},
		{name: "another's archive", do: func(dir string, s shelf) error {
			return os.Rename(s.path(1, archiveSuffix), s.path(2, archiveSuffix))
		}, want: "", why: []string{"generation 2: ", "generation 1: its archive is missing"}},
		{name: "archive is a directory", do: func(dir string, s shelf) error {
			os.Remove(s.path(2, archiveSuffix))
			return os.Mkdir(s.path(2, archiveSuffix), 0o700)
		}, want: "old", why: []string{"is a directory"}},
		{name: "a huge record", do: func(dir string, s shelf) error { return os.Truncate(s.path(2, recordSuffix), 1<<40) }, want: "old", why: []string{"larger than any record"}},
		{name: "one that was never put in force", do: func(dir string, s shelf) error {
			mark, err := seal(current{1, s.ordered[1].SHA256})
			if err != nil {
				return err
			}
			return os.WriteFile(filepath.Join(dir, currentName), mark, 0o600)
		}, want: "old"},
		{name: "strangers' files", do: func(dir string, s shelf) error {
			for _, n := range []string{"x", "0000002.json", "-0000003.json", "00000000.json", "99999999999999999999.json", "+0000003.tar.zst"} {
				if err := os.WriteFile(filepath.Join(dir, generationsDir, n), []byte("{}"), 0o600); err != nil {
					return err
				}
			}
			return nil
		}, want: "new"},
		{name: "none is good", do: func(dir string, s shelf) error {
			return os.Truncate(s.path(1, archiveSuffix), 7)
		}, want: "", why: []string{"generation 2", "generation 1: its archive has 7 bytes"}},
		{name: "none is good, with a seed", do: func(dir string, s shelf) error {
			return os.Truncate(s.path(1, archiveSuffix), 7)
		}, want: "seed", seeded: "seed", why: []string{"generation 2", "generation 1"}},
		{name: "a seed is for those who have nothing", seeded: "seed", want: "new"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir, s := two(t)
			if strings.HasPrefix(tt.name, "none is good") {
				if err := os.Truncate(s.path(2, archiveSuffix), 0); err != nil {
					t.Fatal(err)
				}
			}
			if tt.do != nil {
				if err := tt.do(dir, s); err != nil {
					t.Fatal(err)
				}
			}
			if tt.seeded != "" {
				root(t)
				fill(t, dir, map[string]string{"seed/etc/hosts": tt.seeded})
			}
			got, r := restored(t, dir)
			if got != tt.want {
				t.Errorf("%q came back, want %q: %+v", got, tt.want, r)
			}
			if len(r.Skipped) != len(tt.why) {
				t.Errorf("skipped %v, want %q", r.Skipped, tt.why)
			}
			for i, why := range tt.why {
				if i < len(r.Skipped) && !strings.Contains(r.Skipped[i].String(), why) {
					t.Errorf("skipped %v, want %q", r.Skipped[i], why)
				}
			}
			// Whatever was found: saving goes on, with a number of its own.
			upper := t.TempDir()
			fill(t, upper, map[string]string{"etc/hosts": "next"})
			if sv := mustSave(t, dir, upper, Options{}); sv.Generation.Number < 3 {
				t.Errorf("the next generation has number %d", sv.Generation.Number)
			}
			if got, r := restored(t, dir); got != "next" {
				t.Errorf("after the next save %q came back: %+v", got, r)
			}
		})
	}
}

func TestNothingYet(t *testing.T) {
	for name, dir := range map[string]string{"empty": t.TempDir(), "missing": filepath.Join(t.TempDir(), "none")} {
		if _, r := restored(t, dir); r.From != FromNothing || len(r.Skipped) > 0 {
			t.Errorf("%s: %+v", name, r)
		}
	}
	blocked := filepath.Join(t.TempDir(), "file")
	write1(t, blocked, "")
	if _, err := Restore(t.Context(), t.TempDir(), filepath.Join(blocked, "upper"), Prefer{}); err == nil {
		t.Error("an upper directory that cannot be made is no error")
	}
	fill(t, filepath.Dir(blocked), map[string]string{generationsDir: "no directory"})
	if _, r := restored(t, filepath.Dir(blocked)); len(r.Skipped) != 1 {
		t.Errorf("a directory that cannot be read is not told: %+v", r)
	}
}

func TestSeed(t *testing.T) {
	root(t)
	dir, upper := t.TempDir(), t.TempDir()
	fill(t, dir, map[string]string{"seed/etc/esos/esos.yaml": "version: 1\n", "seed/etc/link": "-> hosts", "seed/root/.ssh/authorized_keys": "key", "seed/var/lib/x/y": "z",
		"seed/usr/bin/no": "not kept", "seed/README": "not kept"})
	for _, err := range []error{
		os.Chmod(filepath.Join(dir, "seed/etc"), 0o700), os.Chmod(filepath.Join(dir, "seed/etc/esos"), 0o710), os.Chmod(filepath.Join(dir, "seed/etc/esos/esos.yaml"), 0o600),
		os.Chown(filepath.Join(dir, "seed/etc/esos/esos.yaml"), 1000, 1000),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	listen(t, filepath.Join(dir, "seed/etc/socket"))
	r := mustRestore(t, dir, upper)
	if r.From != FromSeed || r.Generation != nil || r.Files != 11 || len(r.Skipped) != 3 {
		t.Errorf("restored %+v", r)
	}
	got := look(t, upper)
	for p, want := range map[string]string{"etc": "mode 40755 owner 0:0", "var": "mode 40755 owner 0:0", "var/lib": "mode 40755 owner 0:0", "root": "mode 40700 owner 0:0",
		"etc/esos": "mode 40710 owner 0:0", "etc/esos/esos.yaml": "mode 100600 owner 0:0", "etc/link": "mode 120777 owner 0:0"} {
		if !strings.HasPrefix(got[p], want) {
			t.Errorf("%s is %q, want %s", p, got[p], want)
		}
	}
	if len(got) != 11 {
		t.Errorf("planted: %v", got)
	}
	mustSave(t, dir, upper, Options{})
	if r := mustRestore(t, dir, t.TempDir()); r.From != FromGeneration {
		t.Errorf("with a generation, the seed is used: %+v", r)
	}
}
