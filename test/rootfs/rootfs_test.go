package rootfs

import (
	"bytes"
	"io/fs"
	"log/slog"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/esos-project/esos/internal/cli"
	"github.com/esos-project/esos/internal/firstboot"
	"github.com/esos-project/esos/test/level"
)

const units = "usr/lib/systemd/system"

// ours is the tree that is laid over the root.
func ours(t *testing.T) fs.FS {
	t.Helper()
	return os.DirFS(filepath.Join(level.Root(t), "internal/image/rootfs"))
}

func read(t *testing.T, tree fs.FS, name string) string {
	t.Helper()
	text, err := fs.ReadFile(tree, name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// setting is a line of a unit file.
type setting struct{ key, value string }

// settings reads the lines of a unit file, whatever their section.
func settings(text string) (all []setting) {
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if k, v, ok := strings.Cut(line, "="); ok && !strings.HasPrefix(line, "#") {
			all = append(all, setting{k, v})
		}
	}
	return all
}

// ourUnits are the unit files of ours, by name.
func ourUnits(t *testing.T, tree fs.FS) map[string][]setting {
	t.Helper()
	entries, err := fs.ReadDir(tree, units)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string][]setting{}
	for _, e := range entries {
		if !e.IsDir() {
			all[e.Name()] = settings(read(t, tree, path.Join(units, e.Name())))
		}
	}
	if len(all) < 5 {
		t.Fatalf("only %d units: the test looks in the wrong place", len(all))
	}
	return all
}

// TestCommandsOfUnits: the esos command understands what units call it with.
func TestCommandsOfUnits(t *testing.T) {
	n := 0
	for name, lines := range ourUnits(t, ours(t)) {
		for _, s := range lines {
			words := strings.Fields(s.value)
			if !strings.HasPrefix(s.key, "Exec") || words[0] != "/usr/bin/esos" {
				continue
			}
			n++
			var said bytes.Buffer
			if code := cli.Main(t.Context(), append(words[1:], "--help"), strings.NewReader(""), &said, &said); code != 0 {
				t.Errorf("%s: %s=%s: %s", name, s.key, s.value, said.String())
			}
			sub := "esos " + words[1]
			if !strings.Contains(said.String(), sub) {
				t.Errorf("%s: there is no command %q", name, sub)
			}
		}
	}
	if n == 0 {
		t.Error("no unit runs the esos command")
	}
}

// TestUnitsOfOursThatUnitsName exist.
func TestUnitsOfOursThatUnitsName(t *testing.T) {
	all := ourUnits(t, ours(t))
	named := regexp.MustCompile(`\besos[a-z-]*\.(service|socket|path|timer|target)\b`)
	for name, lines := range all {
		for _, s := range lines {
			for _, other := range named.FindAllString(s.value, -1) {
				if all[other] == nil {
					t.Errorf("%s: %s names %s, which is not there", name, s.key, other)
				}
			}
		}
	}
}

// TestFirstBootEnds: once it has run, none of the conditions that start it
// holds; and the password is watched where it is shown.
func TestFirstBootEnds(t *testing.T) {
	m := firstboot.Machine{Root: t.TempDir(), Log: slog.New(slog.DiscardHandler)}
	for name, text := range map[string]string{"etc/shadow": "admin:!*:20000::::::\n", "etc/ssh/x": "", "etc/iscsi/x": ""} {
		if err := os.MkdirAll(filepath.Join(m.Root, path.Dir(name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(m.Root, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := m.Prepare(); err != nil {
		t.Fatal(err)
	}
	if err := m.Finish(); err != nil {
		t.Fatal(err)
	}
	all := ourUnits(t, ours(t))
	check := func(unit, prefix string, least int) {
		t.Helper()
		n := 0
		for _, s := range all[unit] {
			if s.key != "ConditionPathExists" {
				continue
			}
			n++
			file, ok := strings.CutPrefix(s.value, prefix)
			if !ok {
				t.Errorf("%s: condition %q does not begin with %q", unit, s.value, prefix)
			}
			if _, err := os.Stat(filepath.Join(m.Root, file)); err != nil {
				t.Errorf("%s: after the first boot %s is not there", unit, file)
			}
		}
		if n < least {
			t.Errorf("%s has %d conditions", unit, n)
		}
	}
	check("esos-first-boot.service", "|!", 5)
	check("esos-initial-password.path", "", 1)
}

// TestPreset: what is not named is off.
func TestPreset(t *testing.T) {
	var rules []string
	for line := range strings.Lines(read(t, ours(t), "usr/lib/systemd/system-preset/00-esos.preset")) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			rules = append(rules, line)
		}
	}
	if len(rules) < 2 || rules[len(rules)-1] != "disable *" {
		t.Errorf("the last rule is not to disable all else: %q", rules)
	}
	for _, want := range []string{"enable esos*", "enable ssh.service", "enable systemd-networkd.service"} {
		if !slices.Contains(rules, want) {
			t.Errorf("%q is missing", want)
		}
	}
}

// TestEmptyFilesMask: an empty file is there to switch something off, nowhere else.
func TestEmptyFilesMask(t *testing.T) {
	masks := []string{"etc/systemd/system/", "etc/systemd/system-generators/", "etc/modules-load.d/", "etc/update-motd.d/", "etc/motd"}
	err := fs.WalkDir(ours(t), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || d.Name() == ".keep" {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		switch masking := slices.ContainsFunc(masks, func(m string) bool { return strings.HasPrefix(name, m) }); {
		case !info.Mode().IsRegular():
			t.Errorf("%s is no regular file: it would not be embedded", name)
		case info.Size() == 0 && !masking:
			t.Errorf("%s is empty", name)
		case info.Size() > 0 && strings.HasPrefix(name, "etc/systemd/system-generators/"):
			t.Errorf("%s is to be masked, and is not empty", name)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestDeclaredUsers: saved files belong to their numbers.
func TestDeclaredUsers(t *testing.T) {
	text := read(t, ours(t), "usr/lib/sysusers.d/esos.conf")
	for _, want := range []string{"u esos-target 890 ", "u admin 1000 "} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing from\n%s", want, text)
		}
	}
	var user string
	for _, s := range ourUnits(t, ours(t))["esos-target.service"] {
		if s.key == "User" {
			user = s.value
		}
	}
	if !strings.Contains(text, "u "+user+" ") {
		t.Errorf("esos-target.service runs as %q, whom nobody declares", user)
	}
}
