package apitest

import (
	"context"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/esos-project/esos/internal/engine/native"
)

// startNative builds esos-target and starts the engine that speaks to it.
func startNative(ctx context.Context, t testing.TB, dir string, log *slog.Logger) *native.Engine {
	t.Helper()
	// The target gives up root: what leads to its files must be open to it.
	for d := dir; d != filepath.Dir(d) && d != os.TempDir(); d = filepath.Dir(d) {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	binary := filepath.Join(dir, "esos-target")
	build := exec.Command("go", "build", "-o", binary, "github.com/esos-project/esos/cmd/esos-target")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build esos-target: %v\n%s", err, out)
	}
	data := filepath.Join(dir, "data")
	e, err := native.Start(ctx, native.Options{TargetBinary: binary, RunDir: filepath.Join(dir, "run"), StateDir: filepath.Join(data, "state"), DataDir: data, Log: log})
	if err != nil {
		t.Fatalf("start the engine: %v", err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		if err := e.Stop(ctx); err != nil {
			t.Errorf("stop the engine: %v", err)
		}
	})
	return e
}
