package appliance

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/esos-project/esos/internal/engine/enginetest"
)

// TestKept: a change is not done before it outlives a power cut; one that does
// not is in force and says so.
func TestKept(t *testing.T) {
	var a *Appliance
	var reasons []string
	var fail error
	a, err := Open(t.Context(), Options{DataDir: t.TempDir(), Engine: &enginetest.Memory{}, Log: quiet(), Retry: time.Hour,
		Kept: func(_ context.Context, reason string) error {
			doc, rev := a.inForce()
			if len(doc.Devices) != 1 || rev.Number == 0 {
				t.Errorf("kept before the change is in force: revision %d with %d devices", rev.Number, len(doc.Devices))
			}
			reasons = append(reasons, reason)
			return fail
		}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	})
	if p := apply(t, a, Change{Document: document(), Why: "begin"}); len(p.Problems) > 0 || p.Error != "" {
		t.Errorf("kept, and yet: %+v", p)
	}
	if p := apply(t, a, Change{Document: document()}); p.Changed {
		t.Errorf("the same document is a change: %+v", p)
	}
	fail = errors.New("no stick")
	next := document()
	next.Name = "other"
	p := apply(t, a, Change{Document: next})
	if p.State != Done || p.Revision.Number != 2 || len(p.Problems) != 1 || !strings.Contains(p.Problems[0].Message, "not saved") || !strings.Contains(p.Problems[0].Message, "no stick") {
		t.Errorf("not kept: %+v", p)
	}
	if strings.Join(reasons, ", ") != "apply: begin, apply: by test" {
		t.Errorf("kept for %q", reasons)
	}
}
