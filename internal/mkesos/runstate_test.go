package mkesos

import (
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// writeTo changes the first byte of a qcow2 file, as a guest does.
func writeTo(t *testing.T, file, pattern string) {
	t.Helper()
	out, err := exec.Command("qemu-io", "-f", "qcow2", "-c", "write -P "+pattern+" 0 512", file).CombinedOutput()
	if err != nil || strings.Contains(string(out), "failed") {
		t.Fatalf("qemu-io: %v\n%s", err, out)
	}
}

func holds(t *testing.T, file, pattern string) bool {
	t.Helper()
	out, err := exec.Command("qemu-io", "-f", "qcow2", "-c", "read -P "+pattern+" 0 512", file).CombinedOutput()
	if err != nil {
		t.Fatalf("qemu-io: %v\n%s", err, out)
	}
	return !strings.Contains(string(out), "Pattern verification failed")
}

// TestState: what is saved on the stick stays, is gone when asked for or when
// the image is another one, and the image itself is never written to.
func TestState(t *testing.T) {
	for _, tool := range []string{"qemu-img", "qemu-io"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("%s is missing: scripts/install-deps test installs it", tool)
		}
	}
	ctx := context.Background()
	image := filepath.Join(t.TempDir(), "a,b.img") // a comma means something to QEMU
	write := func(first byte) {
		t.Helper()
		b := make([]byte, 1<<20)
		b[0] = first
		for i := range 512 {
			b[i] = first
		}
		if err := os.WriteFile(image, b, 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(image, time.Time{}, time.Unix(int64(first), 0)); err != nil {
			t.Fatal(err)
		}
	}
	open := func(fresh bool) *state {
		t.Helper()
		s, err := openState(ctx, stateOptions{image: image, stick: 8 << 20, data: 4 << 20, fresh: fresh})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	write(1)
	s := open(false)
	if s.renewed || !holds(t, s.stick, "1") {
		t.Error("the first stick is not the image")
	}
	if info, err := os.Stat(s.data); err != nil || info.Size() != 4<<20 {
		t.Errorf("data disk: %v, %v", info, err)
	}
	if _, err := openState(ctx, stateOptions{image: image}); err == nil || !strings.Contains(err.Error(), "another machine runs") {
		t.Errorf("a second run at the same time: %v", err)
	}
	writeTo(t, s.stick, "9")
	if err := os.WriteFile(s.data, []byte("data"), 0o644); err != nil {
		t.Fatal(err)
	}
	s.close()

	s = open(false)
	if s.renewed || !holds(t, s.stick, "9") {
		t.Error("what was written to the stick is gone at the next run")
	}
	s.close()

	write(2) // another build
	s = open(false)
	if !s.renewed || !holds(t, s.stick, "2") {
		t.Errorf("the stick of another build was kept (renewed: %t)", s.renewed)
	}
	if data, err := os.ReadFile(s.data); err != nil || string(data) != "data" {
		t.Errorf("the data disk after another build: %q, %v", data, err)
	}
	writeTo(t, s.stick, "9")
	s.close()

	s = open(true)
	defer s.close()
	if s.renewed || !holds(t, s.stick, "2") {
		t.Error("--fresh kept the stick")
	}
	if info, err := os.Stat(s.data); err != nil || info.Size() != 4<<20 {
		t.Errorf("data disk after --fresh: %v, %v", info, err)
	}
	if b, err := os.ReadFile(image); err != nil || b[0] != 2 {
		t.Errorf("the image was written to: %v", err)
	}
	first := settings{SSHKeys: []byte("key")}
	if _, err := openState(ctx, stateOptions{image: image, first: first}); err == nil || !strings.Contains(err.Error(), "another machine runs") {
		t.Errorf("a run at the same time with first settings: %v", err)
	}
	if (settings{Document: []byte("key")}).digest() == first.digest() || (settings{}).digest() != "" {
		t.Error("digests of different settings are the same, or those of none are some")
	}
	if _, err := openState(ctx, stateOptions{image: image + "x"}); err == nil || !strings.Contains(err.Error(), "mkesos build") {
		t.Errorf("an image that is not there: %v", err)
	}
}

func TestForwardsNameWhatIsTaken(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	taken := l.Addr().(*net.TCPAddr).Port
	f := runFlags{iscsi: taken, api: taken, ssh: taken}
	if _, err := f.forwards(); err == nil || !strings.Contains(err.Error(), "--iscsi-port") {
		t.Errorf("a port that is taken: %v", err)
	}
	f.iscsi = 70000
	if _, err := f.forwards(); err == nil || !strings.Contains(err.Error(), "--iscsi-port 70000") {
		t.Errorf("a port that is none: %v", err)
	}
}
