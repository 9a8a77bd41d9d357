package layer

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/esos-project/esos/internal/host/block"
)

// Arrival is a machine on which block devices come (host.Linux).
type Arrival interface {
	block.Prober
	Real(path string) string
}

// Blank waits for a block device that comes with a plan, and says why nothing
// can be made on it: the plan could not show what it holds, so it must hold
// nothing.
func Blank(ctx context.Context, m Arrival, path string, patience time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, patience+30*time.Second)
	defer cancel()
	for end := time.Now().Add(patience); m.Real(path) == ""; {
		if time.Now().After(end) {
			return fmt.Errorf("%s did not come; declare what brings it alone, and look at 'esos disk list'", path)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
	found, err := block.Contents(ctx, m, m.Real(path))
	if err != nil {
		return err
	}
	if len(found) == 0 {
		return nil
	}
	var what []string
	for _, c := range found {
		what = append(what, c.String())
	}
	return fmt.Errorf("%s holds %s; nothing is made on what the plan could not show: declare what brings the disk alone, and with the next change what stands on it", path, strings.Join(what, ", "))
}
