package medium

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/esos-project/esos/internal/medium"
	"github.com/esos-project/esos/internal/medium/grub"
	"github.com/esos-project/esos/test/level"
)

// workVariable names a work directory of mkesos build other than the tree's.
const workVariable = "ESOS_IMAGE_WORK"

var builtAt = time.Unix(1790000000, 0).UTC()

// toolsRoot are the tools that a build of the image leaves.
type toolsRoot string

// Path is where a file of the tools' root lies.
func (r toolsRoot) Path(name string) string { return filepath.Join(string(r), name) }

// Command runs a program by the root's own loader, as the builder does. What
// only the tests run (sgdisk, sfdisk, blkid) is the host's.
func (r toolsRoot) Command(ctx context.Context, name string, args ...string) *exec.Cmd {
	program := r.Path("usr/bin/" + name)
	if _, err := os.Stat(program); err != nil {
		program = r.Path("usr/sbin/" + name)
	}
	if _, err := os.Stat(program); err != nil {
		return medium.HostTools{}.Command(ctx, name, args...)
	}
	lib := r.Path("usr/lib/x86_64-linux-gnu")
	cmd := exec.CommandContext(ctx, filepath.Join(lib, "ld-linux-x86-64.so.2"),
		append([]string{"--argv0", name, "--library-path", lib, program}, args...)...)
	cmd.Env = append(os.Environ(), "GCONV_PATH="+filepath.Join(lib, "gconv"))
	return cmd
}

// tools finds them; without them nothing here can be tested.
func tools(t testing.TB) toolsRoot {
	t.Helper()
	work := os.Getenv(workVariable)
	if work == "" {
		work = filepath.Join(level.Cache(t), "image")
	}
	root := toolsRoot(filepath.Join(work, "tools"))
	if _, err := os.Stat(root.Path("usr/sbin/mke2fs")); err != nil {
		if have, _ := level.Of(); have >= level.Smoke {
			t.Fatalf("there are no tools: run make image, or set %s: %v", workVariable, err)
		}
		t.Skipf("not run: there are no tools (make image, or %s): %v", workVariable, err)
	}
	return root
}

// slotSizes are small, but larger than a block, a cluster and a buffer.
var slotSizes = map[string]int{
	"vmlinuz": 3<<20 + 17, "initrd.img": 5<<20 + 1, "root.squashfs": 20<<20 + 4097, "manifest.json": 600, "manifest.sig": 64,
}

// fakeSlot fills a directory with bytes that are no slot, but are as long.
func fakeSlot(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	for name, size := range slotSizes {
		seed := sha256.Sum256([]byte(name))
		r := rand.NewChaCha8(seed)
		b := make([]byte, size)
		for i := 0; i+8 <= size; i += 8 {
			binary.LittleEndian.PutUint64(b[i:], r.Uint64())
		}
		write(t, filepath.Join(dir, name), b)
	}
	return dir
}

// grubImages makes GRUB's images once a test.
func grubImages(t testing.TB, tools toolsRoot) string {
	t.Helper()
	dir := t.TempDir()
	err := grub.MakeImages(t.Context(), tools, tools.Path("usr/lib/grub"), dir, medium.LabelBoot, medium.LabelISO)
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// smallPlan is a medium of 314 MiB.
func smallPlan(t testing.TB) medium.Plan {
	t.Helper()
	tools := tools(t)
	return medium.Plan{
		Recipe: medium.Recipe{
			Identity: "test", Time: builtAt.Unix(), Arguments: "panic=10",
			Sizes: medium.Sizes{Boot: 96 << 20, Root: 128 << 20, Conf: 24 << 20, Logs: 64 << 20},
		},
		Tools: tools, Slot: fakeSlot(t), GRUB: grubImages(t, tools),
	}
}

func build(t testing.TB, p medium.Plan) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "esos.img")
	if err := medium.Build(t.Context(), p, file); err != nil {
		t.Fatal(err)
	}
	return file
}

// checkMedium runs the checkers of the partition table and of each file
// system.
func checkMedium(t testing.TB, tools medium.Tools, file string) {
	t.Helper()
	parts := layout(t, file)
	if out := output(t, tools, "sgdisk", "-v", file); !bytes.Contains(out, []byte("No problems found")) {
		t.Errorf("sgdisk -v: %s", out)
	}
	for _, p := range parts {
		if p.Label == medium.LabelGRUB {
			continue
		}
		part := filepath.Join(t.TempDir(), p.Label)
		extract(t, file, part, p)
		if p.Label == medium.LabelBoot {
			output(t, tools, "fsck.vfat", "-n", part)
		} else {
			output(t, tools, "e2fsck", "-fn", part)
		}
		if err := os.Remove(part); err != nil {
			t.Fatal(err)
		}
	}
}

func layout(t testing.TB, file string) []medium.Partition {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	parts, err := medium.ReadLayout(f)
	if err != nil {
		t.Fatal(err)
	}
	return parts
}

// output runs a tool that must succeed.
func output(t testing.TB, tools medium.Tools, name string, args ...string) []byte {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	out, err := tools.Command(ctx, name, args...).CombinedOutput()
	if err != nil {
		t.Errorf("%s %v: %v: %s", name, args, err, out)
	}
	return out
}

// extract copies a partition into a file of its own, sparse.
func extract(t testing.TB, file, to string, p medium.Partition) {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	out, err := os.Create(to)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	buf := make([]byte, 1<<20)
	zero := make([]byte, 1<<20)
	for at := int64(0); at < p.Size; at += int64(len(buf)) {
		n := min(int64(len(buf)), p.Size-at)
		if _, err := f.ReadAt(buf[:n], p.Start+at); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(buf[:n], zero[:n]) {
			if _, err := out.WriteAt(buf[:n], at); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := out.Truncate(p.Size); err != nil {
		t.Fatal(err)
	}
}

func write(t testing.TB, path string, b []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, b, 0o644); err != nil {
		t.Fatal(err)
	}
}

func digest(t testing.TB, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%x", sha256.Sum256(b))
}
