package appliance

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/esos-project/esos/test/level"
)

// Limits of the image's parts, in bytes.
const (
	maxRoot   = 400 << 20
	maxInitrd = 40 << 20
)

// TestBuildRepeatsItself is bar 1: a second build, from nothing but the
// downloaded packages, makes the same bytes; and the parts are small enough.
func TestBuildRepeatsItself(t *testing.T) {
	level.Require(t, level.Full)
	if os.Getenv(ImageVariable) != "" {
		t.Skipf("%s names an image that was built elsewhere: there is nothing to repeat", ImageVariable)
	}
	l, _ := lab(t)
	for name, limit := range map[string]int64{"root.squashfs": maxRoot, "initrd.img": maxInitrd} {
		st, err := os.Stat(filepath.Join(l.Out, "slot", name))
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%s: %.1f MiB", name, float64(st.Size())/(1<<20))
		if st.Size() > limit {
			t.Errorf("%s has %d bytes, more than %d", name, st.Size(), limit)
		}
	}
	work := t.TempDir()
	began := time.Now()
	cmd := exec.CommandContext(t.Context(), filepath.Join(l.root, "bin", "mkesos"), "build", "--work", work)
	cmd.Dir = l.root
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("the second build: %v\n%s", err, out)
	}
	t.Logf("the second build took %.0f s", time.Since(began).Seconds())
	for _, name := range []string{"slot/root.squashfs", "slot/initrd.img", "slot/vmlinuz", "slot/manifest.json", "slot/manifest.sig", "medium.json", "packages.tsv", "esos.img"} {
		first, second := digest(t, filepath.Join(l.Out, name)), digest(t, filepath.Join(work, "out", name))
		t.Logf("%s: %s", name, first)
		if first != second {
			t.Errorf("%s differs: SHA-256 %s, then %s", name, first, second)
		}
	}
}

func digest(t *testing.T, name string) string {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		t.Fatal(err)
	}
	return hex.EncodeToString(h.Sum(nil))
}
