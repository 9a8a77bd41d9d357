package daemon

import (
	"context"
	"time"
)

// settling says when something is done about events that come in crowds: a
// shelf of disks that is switched on, or what the array itself does to disks.
type settling struct {
	quiet   time.Duration // after the last one
	longest time.Duration // after the first one, however many follow
	pause   time.Duration // between two times: what is done may cause events itself
}

// hotPlug is how soon the storage is looked at after block devices came, went
// or changed. What fails there and causes events is tried no more often than
// the pause lets it.
func hotPlug() settling {
	return settling{quiet: 500 * time.Millisecond, longest: 3 * time.Second, pause: 10 * time.Second}
}

// follow calls do after events, until ctx ends.
func (s settling) follow(ctx context.Context, events <-chan struct{}, do func()) {
	var last time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case <-events:
		}
		latest := time.Now().Add(s.longest)
		due := time.Now().Add(s.quiet)
		for {
			wait := min(time.Until(due), time.Until(latest))
			// The first events after a pause are answered soon; a second time is
			// held back, for as long as it takes.
			if !last.IsZero() {
				wait = max(wait, time.Until(last.Add(s.pause)))
			}
			if wait <= 0 {
				break
			}
			select {
			case <-ctx.Done():
				return
			case <-events:
				due = time.Now().Add(s.quiet)
			case <-time.After(wait):
			}
		}
		last = time.Now()
		do()
	}
}
