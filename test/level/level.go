// Package level says which tests a run includes. Unit tests always run; those
// that start virtual machines or take minutes ask here. The targets of the
// Makefile set the level: `make test` smoke, `make test-full` full.
package level

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// Level is a set of tests; each includes the ones before it.
type Level int

// Levels.
const (
	Unit  Level = iota // what `go test ./...` runs: seconds
	Smoke              // one end-to-end test for each area: minutes
	Full               // every bar that a machine can check
)

// Variable is the environment variable that names the level: smoke or full.
const Variable = "ESOS_TEST"

var names = map[string]Level{"": Unit, "unit": Unit, "smoke": Smoke, "full": Full}

func (l Level) String() string { return [...]string{"unit", "smoke", "full"}[l] }

// Of returns the level of this run.
func Of() (Level, error) {
	l, ok := names[os.Getenv(Variable)]
	if !ok {
		return 0, fmt.Errorf("%s=%q: want smoke or full", Variable, os.Getenv(Variable))
	}
	return l, nil
}

// Require skips the test, saying so, when the run's level is below l.
func Require(t testing.TB, l Level) {
	t.Helper()
	have, err := Of()
	if err != nil {
		t.Fatal(err)
	}
	if have < l {
		t.Skipf("not run at level %s: needs %s=%s (make test runs smoke, make test-full full)", have, Variable, l)
	}
}

// Root returns the directory of the module's go.mod.
func Root(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		up := filepath.Dir(dir)
		if up == dir {
			t.Fatal("no go.mod above the test's directory")
		}
		dir = up
	}
}

// Cache returns the directory for what is dear to make and may be kept.
func Cache(t testing.TB) string {
	t.Helper()
	dir := filepath.Join(Root(t), ".cache")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// ShortDir returns a temporary directory whose path is short enough for Unix
// sockets, which t.TempDir's may not be. What is in it is kept, and its place
// told, when the test fails.
func ShortDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "esos-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("logs are kept in %s", dir)
			return
		}
		if err := os.RemoveAll(dir); err != nil {
			t.Errorf("remove %s: %v", dir, err)
		}
	})
	return dir
}
