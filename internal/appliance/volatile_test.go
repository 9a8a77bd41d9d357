package appliance

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/engine/enginetest"
	"github.com/esos-project/esos/internal/host"
)

// rootInMemory is a machine where all files are gone at the next reboot.
type rootInMemory struct{ host.Files }

func (rootInMemory) Volatile(string) (string, error) { return "overlay", nil }

// TestImageInMemory: on an appliance, an image file in memory is refused
// before anything is touched; in a document with other changes, all of it.
func TestImageInMemory(t *testing.T) {
	dir, e := t.TempDir(), &enginetest.Memory{}
	a, err := Open(t.Context(), Options{DataDir: dir, Engine: e, Log: quiet(), Retry: time.Hour, Files: rootInMemory{}, InMemory: true})
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	var refused *RefusedError
	if _, err := a.Apply(t.Context(), Change{Document: document(), Who: "test"}); !errors.As(err, &refused) ||
		!strings.Contains(err.Error(), "device/db01: disk file devices/db01.img would live in memory (overlay) and be gone at the next reboot") {
		t.Fatalf("an image file in memory: %v", err)
	}
	if p, err := a.Plan(t.Context(), document()); err != nil || len(p.Problems) != 1 {
		t.Errorf("its plan: %+v, %v", p, err)
	}
	if calls := e.Calls(); len(calls) > 0 {
		t.Errorf("the engine was asked to %q", calls)
	}
	if _, err := os.Stat(filepath.Join(dir, "devices")); err == nil {
		t.Error("a directory for images was made")
	}
	if _, rev, _ := a.Document(t.Context()); rev.Number != 0 {
		t.Errorf("revision %d is in force", rev.Number)
	}
	memory := document()
	memory.Devices[0] = config.Device{Name: "db01", Handler: config.Memory, Size: 1 << 20}
	if got := apply(t, a, Change{Document: memory}); got.State != Done || len(got.Problems) > 0 {
		t.Errorf("a disk whose name says that it is in memory: %+v", got)
	}
}
