package appliance

import (
	"context"
	"errors"
	"time"
)

const (
	pollEvery      = 250 * time.Millisecond
	attemptTimeout = 10 * time.Second
	maxAttempts    = 32 // at the same time
)

// Poll returns as soon as an attempt succeeded. A new one begins every quarter
// of a second whether or not the last has ended: QEMU's network takes a
// connection before the guest has a network, and one that was made too early
// may hang.
func Poll(ctx context.Context, attempt func(context.Context) error) error {
	attempts, cancel := context.WithCancel(ctx)
	defer cancel()
	// Attempts that are left end by themselves: waiting for one that hangs
	// would cost the time that is measured.
	results := make(chan error, maxAttempts)
	running := 0
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	var last error
	for {
		if running < maxAttempts {
			running++
			go func() {
				ctx, cancel := context.WithTimeout(attempts, attemptTimeout)
				defer cancel()
				results <- attempt(ctx)
			}()
		}
		for wait := true; wait; {
			select {
			case err := <-results:
				running--
				if err == nil {
					return nil
				}
				last = err
			case <-tick.C:
				wait = false
			case <-ctx.Done():
				return errors.Join(context.Cause(ctx), last)
			}
		}
	}
}
