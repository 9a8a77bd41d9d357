package apitest

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/esos-project/esos/internal/engine/native"
)

// targetDir is where Main has esos-target built, "" without Main.
var targetDir string

// Main runs the tests of a package, whose arrays with ESOS's own engine share
// one esos-target then: func TestMain(m *testing.M) { os.Exit(apitest.Main(m)) }.
func Main(m *testing.M) int {
	dir, err := os.MkdirTemp("", "esos-target-")
	if err == nil {
		err = os.Chmod(dir, 0o755)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "make a place for esos-target: %v\n", err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	targetDir = dir
	return m.Run()
}

// builtOnce is esos-target as Main's package has it.
var builtOnce = sync.OnceValues(func() (string, error) { return buildTarget(targetDir) })

func buildTarget(dir string) (string, error) {
	binary := filepath.Join(dir, "esos-target")
	// Another array may be making a socket now, for which it sets this process's
	// umask: a program that is built with that cannot be run.
	build := exec.Command("sh", "-c", "umask 022 && exec go build -o \"$0\" github.com/esos-project/esos/cmd/esos-target", binary)
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build esos-target: %w\n%s", err, out)
	}
	return binary, nil
}

// startNative starts the engine that speaks to a target process of its own.
func startNative(ctx context.Context, t testing.TB, dir string, log *slog.Logger) *native.Engine {
	t.Helper()
	// The target gives up root: what leads to its files must be open to it.
	for d := dir; d != filepath.Dir(d) && d != os.TempDir(); d = filepath.Dir(d) {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	build := builtOnce
	if targetDir == "" {
		build = func() (string, error) { return buildTarget(dir) }
	}
	binary, err := build()
	if err != nil {
		t.Fatal(err)
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
