package rootfs

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/esos-project/esos/test/level"
)

// treeVariable names the root of another image than the one that was built
// last.
const treeVariable = "ESOS_IMAGE_TREE"

// tree is the root of the image as it was built, before it was squashed.
func tree(t *testing.T) string {
	t.Helper()
	level.Require(t, level.Smoke)
	dir := os.Getenv(treeVariable)
	if dir == "" {
		dir = filepath.Join(level.Root(t), ".cache/image/tree")
	}
	if _, err := os.Stat(filepath.Join(dir, "usr/bin/esos")); err != nil {
		t.Skipf("NOT TESTED: the image's root: %v; run make image first", err)
	}
	if os.Geteuid() != 0 {
		t.Skip("NOT TESTED: the image's root; its programs are run in it, which takes root")
	}
	return dir
}

// inside runs a program of the tree in it. Nothing that these tests run writes.
// said is what it complains of.
func inside(t *testing.T, dir string, args ...string) (out, said string, err error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "chroot", append([]string{dir}, args...)...)
	cmd.Env = []string{"PATH=/usr/sbin:/usr/bin", "LC_ALL=C.UTF-8", "SYSTEMD_OFFLINE=1"}
	var complaints strings.Builder
	cmd.Stderr = &complaints
	text, err := cmd.Output()
	return strings.TrimSpace(string(text)), complaints.String(), err
}

// TestUnitsVerify has the image's own systemd read our units and all that the
// boot pulls in: unknown settings, missing programs, cycles.
func TestUnitsVerify(t *testing.T) {
	dir := tree(t)
	args := []string{"systemd-analyze", "verify", "--man=no", "default.target"}
	for name := range ourUnits(t, ours(t)) {
		args = append(args, strings.Replace(name, "@.", "@ttyS0.", 1))
	}
	_, said, err := inside(t, dir, args...)
	if err != nil {
		t.Errorf("systemd-analyze verify: %v", err)
	}
	for line := range strings.Lines(said) {
		if strings.Contains(line, "esos") || strings.Contains(line, "cycle") {
			t.Errorf("%s", strings.TrimSpace(line))
		}
	}
}

// TestPresetUnits are all there, and on.
func TestPresetUnits(t *testing.T) {
	dir := tree(t)
	for line := range strings.Lines(read(t, ours(t), "usr/lib/systemd/system-preset/00-esos.preset")) {
		unit, ok := strings.CutPrefix(strings.TrimSpace(line), "enable ")
		if !ok || strings.HasSuffix(unit, "*") {
			continue
		}
		unit = strings.Replace(unit, "getty@.", "getty@tty1.", 1)
		switch state, _, _ := inside(t, dir, "systemctl", "is-enabled", unit); state {
		case "enabled", "static":
		default:
			t.Errorf("%s is %q", unit, state)
		}
	}
	for unit := range ourUnits(t, ours(t)) {
		if state, _, _ := inside(t, dir, "systemctl", "is-enabled", unit); state != "enabled" && state != "static" && state != "disabled" {
			t.Errorf("%s is %q", unit, state)
		}
	}
}

// TestNothingElseIsOn: of what packages bring, only what the preset names.
func TestNothingElseIsOn(t *testing.T) {
	dir := tree(t)
	wanted := read(t, ours(t), "usr/lib/systemd/system-preset/00-esos.preset")
	for _, name := range []string{"multi-user.target.wants", "sockets.target.wants", "timers.target.wants", "default.target.wants", "graphical.target.wants"} {
		entries, err := os.ReadDir(filepath.Join(dir, "etc/systemd/system", name))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			if !strings.HasPrefix(e.Name(), "esos") && !strings.Contains(wanted, "enable "+e.Name()+"\n") {
				t.Errorf("%s starts %s, which no preset names", name, e.Name())
			}
		}
	}
}

// TestMasksHold: generators and units that are switched off exist in this
// release under these names, or the switch does nothing.
func TestMasksHold(t *testing.T) {
	dir := tree(t)
	for ours, theirs := range map[string][]string{
		"etc/systemd/system":            {"usr/lib/systemd/system"},
		"etc/systemd/system-generators": {"usr/lib/systemd/system-generators"},
		"etc/modules-load.d":            {"usr/lib/modules-load.d"},
	} {
		entries, err := os.ReadDir(filepath.Join(level.Root(t), "internal/image/rootfs", ours))
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			if info, err := e.Info(); err != nil || info.Size() > 0 || e.IsDir() {
				continue
			}
			for _, there := range theirs {
				if _, err := os.Lstat(filepath.Join(dir, there, template(e.Name()))); err != nil {
					t.Errorf("%s/%s masks nothing: %v", ours, e.Name(), err)
				}
			}
		}
	}
}

// template is the file that a unit's instance is made of: modprobe@.service for
// modprobe@drm.service.
func template(unit string) string {
	name, rest, instance := strings.Cut(unit, "@")
	if !instance {
		return unit
	}
	return name + "@" + filepath.Ext(rest)
}

// TestUsersAreMade: the builder has made the users that units and the first
// boot need, and no password opens anything yet.
func TestUsersAreMade(t *testing.T) {
	dir := tree(t)
	passwd, err := os.ReadFile(filepath.Join(dir, "etc/passwd"))
	if err != nil {
		t.Fatal(err)
	}
	shadow, err := os.ReadFile(filepath.Join(dir, "etc/shadow"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"\nesos-target:x:890:890:", "\nadmin:x:1000:1000:"} {
		if !strings.Contains(string(passwd), want) {
			t.Errorf("/etc/passwd lacks %q", strings.TrimSpace(want))
		}
	}
	for line := range strings.Lines(string(shadow)) {
		if f := strings.Split(line, ":"); len(f) < 2 || f[1] == "" || strings.HasPrefix(f[1], "$") {
			t.Errorf("/etc/shadow: %s has a password in the image", f[0])
		}
	}
}
