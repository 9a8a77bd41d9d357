package sandbox

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestConfined runs a program that confines itself: that cannot be undone, so
// it is not for the test's own process.
func TestConfined(t *testing.T) {
	base := t.TempDir()
	probe := filepath.Join(base, "probe")
	build := exec.Command("go", "build", "-o", probe, "./testdata/probe")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build probe: %v\n%s", err, out)
	}
	// The state directory may lie where only root can go.
	private := filepath.Join(base, "private")
	state, outside := filepath.Join(private, "state"), filepath.Join(private, "disk.img")
	for _, dir := range []string{private, state} {
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for _, f := range []string{outside, filepath.Join(state, "old")} {
		if err := os.WriteFile(f, make([]byte, 4096), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	out, err := exec.Command(probe, state, outside).CombinedOutput()
	if err != nil {
		t.Fatalf("probe: %v\n%s", err, out)
	}
	t.Logf("%s", out)
	text := string(out)
	want := map[string]bool{
		"write-state": true, "rename-state": true, "write-handed": true, "truncate-handed": true,
	}
	root := os.Geteuid() == 0
	if landlocked := strings.Contains(text, "landlock"); landlocked {
		want["open-outside"], want["run-program"], want["listen"] = false, false, false
	} else if root {
		want["open-outside"] = false
	}
	for name, can := range want {
		if has := strings.Contains(text, name+": true"); has != can {
			t.Errorf("%s: %v, want %v", name, has, can)
		}
	}
	if root && !strings.Contains(text, "uid: 65534") {
		t.Errorf("root stayed root:\n%s", out)
	}
}
