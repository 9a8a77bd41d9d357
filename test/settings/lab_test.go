package settings

import (
	"context"
	"testing"

	"github.com/esos-project/esos/internal/persist"
	"github.com/esos-project/esos/test/stand"
)

var shared stand.Shared

func TestMain(m *testing.M) { shared.Main(m) }

// newest is the generation that the next boot would take.
func newest(ctx context.Context, a *stand.Stand) persist.Generation {
	a.T.Helper()
	var list []persist.Listed
	a.Into(ctx, &list, "esos config generations -o json")
	n := persist.Newest(list)
	if n == nil {
		a.T.Fatalf("no generation is in force: %+v", list)
	}
	return n.Generation
}
