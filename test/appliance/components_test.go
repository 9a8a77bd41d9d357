package appliance

import (
	"testing"
	"time"

	"github.com/esos-project/esos/internal/image/components"
	"github.com/esos-project/esos/internal/vm"
	"github.com/esos-project/esos/test/level"
)

// TestComponents runs the check of each row of docs/components.md in the
// booted appliance.
func TestComponents(t *testing.T) {
	level.Require(t, level.Full)
	ctx := withTimeout(t, bootTimeout+30*time.Minute)
	all, err := components.All()
	if err != nil {
		t.Fatal(err)
	}
	_, medium := lab(t)
	m := start(ctx, t, Options{Boot: vm.Drive{File: medium, Snapshot: true}})
	served(ctx, t, m)
	r := login(ctx, t, m)
	begun := time.Now()
	// The script is too long for a command line.
	out, err := r.Pipe(ctx, "sh", components.Script(all))
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	verdicts := components.Judge(all, out)
	if len(verdicts) != len(all) {
		t.Fatalf("%d verdicts for %d components", len(verdicts), len(all))
	}
	failed := 0
	for _, v := range verdicts {
		if v.Err != nil {
			failed++
			t.Errorf("%v\n%s", v.Err, v.Output)
		}
	}
	t.Logf("%d components, %d checks failed, in %.0f s", len(all), failed, time.Since(begun).Seconds())
}
