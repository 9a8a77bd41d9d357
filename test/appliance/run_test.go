package appliance

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/esos-project/esos/test/level"
)

// TestMkesosRun runs the image as `make boot` does, twice: to a LUN through the
// forwarded port, and to the same stick.
func TestMkesosRun(t *testing.T) {
	level.Require(t, level.Full)
	ctx := withTimeout(t, 3*bootTimeout)
	l, _ := lab(t)
	dir := t.TempDir()
	mkesos := filepath.Join(dir, "mkesos")
	build := exec.CommandContext(ctx, "go", "build", "-o", mkesos, "./cmd/mkesos")
	build.Dir = level.Root(t)
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build mkesos: %v\n%s", err, out)
	}
	text, err := l.Document()
	if err != nil {
		t.Fatal(err)
	}
	document := filepath.Join(dir, "esos.yaml")
	if err := os.WriteFile(document, text, 0o600); err != nil {
		t.Fatal(err)
	}
	api, err := freePort()
	if err != nil {
		t.Fatal(err)
	}
	ssh, err := freePort()
	if err != nil {
		t.Fatal(err)
	}
	args := []string{"run", filepath.Join(l.Out, "esos.img"), "--state", filepath.Join(dir, "state"), "--work", l.work,
		"--document", document, "--bus", "virtio",
		"--iscsi-port", strconv.Itoa(l.port), "--api-port", strconv.Itoa(api), "--ssh-port", strconv.Itoa(ssh)}
	first := runOnce(ctx, t, mkesos, args, l.port)
	if !strings.Contains(first, "This array is new") {
		t.Error("the first run does not show the first password on the console")
	}
	if strings.Contains(first, "begins with a new stick") {
		t.Error("the first run found another stick")
	}
	again := runOnce(ctx, t, mkesos, append(args, "--uefi"), l.port)
	if strings.Contains(again, "begins with a new stick") {
		t.Error("the second run does not take the stick of the first")
	}
}

// runOnce runs mkesos to a served LUN and the login prompt, ends it, and
// returns what it and the console printed.
func runOnce(ctx context.Context, t *testing.T, mkesos string, args []string, port int) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, bootTimeout)
	defer cancel()
	var out lockedBuffer
	cmd := exec.CommandContext(ctx, mkesos, args...)
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.WaitDelay = 10 * time.Second
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	err := Poll(ctx, func(ctx context.Context) error {
		listing, err := exec.CommandContext(ctx, "iscsi-ls", "-s", "iscsi://127.0.0.1:"+strconv.Itoa(port)).CombinedOutput()
		if err == nil && !strings.Contains(string(listing), "Lun:0 ") {
			err = os.ErrNotExist
		}
		return err
	})
	for err == nil && !strings.Contains(out.String(), "login: ") {
		select {
		case err = <-ended:
		case <-ctx.Done():
			err = ctx.Err()
		case <-time.After(200 * time.Millisecond):
		}
	}
	if err != nil {
		cancel()
		t.Fatalf("mkesos run: %v\n%s", err, out.String())
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-ended:
		t.Logf("mkesos run ended: %v", err)
	case <-time.After(20 * time.Second):
		t.Error("mkesos run is still there 20 s after SIGTERM")
	}
	return out.String()
}
