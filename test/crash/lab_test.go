package crash

import (
	"context"
	"testing"

	"github.com/esos-project/esos/test/appliance"
	"github.com/esos-project/esos/test/stand"
)

var shared stand.Shared

func TestMain(m *testing.M) { shared.Main(m) }

// start starts an appliance with so many MiB of memory, and waits until it
// serves.
func start(ctx context.Context, t *testing.T, memory int) *stand.Stand {
	t.Helper()
	s := shared.New(ctx, t, appliance.Options{Memory: memory})
	s.Boot(ctx)
	return s
}
