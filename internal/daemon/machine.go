package daemon

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/esos-project/esos/internal/alert"
	"github.com/esos-project/esos/internal/alert/netlink"
	"github.com/esos-project/esos/internal/appliance"
	"github.com/esos-project/esos/internal/host"
)

// watchMachine follows what the kernel tells of devices and addresses, until
// ctx ends: what is declared and was missing is tried again when it may have
// come, and alerts are raised and cleared.
func watchMachine(ctx context.Context, o Options, app *appliance.Appliance, board *alert.Board, more ...alert.Rule) error {
	rules := append(more, firstDocument{app, o.Seed}, unconfirmedNetwork{app}, newCrashes(o), newArchivedLogs(o), upgradeRule())
	rules = append(rules, serviceRules(o, app)...)
	rules = append(rules, theMedium{o.RunDir}, bootSettings{o.RunDir}, heldSettings{o.RunDir})
	devices, arrivals := make(chan struct{}, 1), make(chan struct{}, 1)
	var g errgroup.Group
	g.Go(func() error {
		return follow(ctx, o.Log, netlink.Devices, netlink.OfBlockDevice, func() { poke(devices); poke(arrivals) })
	})
	g.Go(func() error {
		return follow(ctx, o.Log, netlink.Addresses, func([]byte) bool { return true }, func() { poke(arrivals) })
	})
	g.Go(func() error { retryOn(ctx, arrivals, app.Retry); return nil })
	settled, plugged := make(chan struct{}, 1), make(chan struct{}, 1)
	g.Go(func() error {
		return follow(ctx, o.Log, netlink.Settled, netlink.SettledBlockDevice, func() { poke(settled); poke(plugged) })
	})
	g.Go(func() error {
		if err := host.WatchArrays(ctx, "/proc/mdstat", func() { poke(plugged) }); err != nil {
			o.Log.Warn("disks that fail are noticed late", "err", err)
		}
		return nil
	})
	g.Go(func() error { hotPlug().follow(ctx, plugged, app.StorageChanged); return nil })
	g.Go(func() error { retryAt(ctx, settled, app.Retry); return nil })
	g.Go(func() error {
		alert.Watcher{Board: board, Rules: rules, Log: o.Log, Changed: devices}.Run(ctx)
		return nil
	})
	return g.Wait()
}

// follow listens to the kernel. A machine where that cannot be had is looked
// at from time to time all the same.
func follow(ctx context.Context, log *slog.Logger, open func() (*netlink.Source, error), matters func([]byte) bool, changed func()) error {
	source, err := open()
	if err != nil {
		log.Warn("changes of the machine are noticed late", "err", err)
		return nil
	}
	netlink.Follow(ctx, source, log, matters, changed)
	if err := source.Close(); err != nil {
		return fmt.Errorf("end listening to the kernel: %w", err)
	}
	return nil
}

// poke leaves word in a channel that holds one.
func poke(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default: // it is there already
	}
}

// retryOn retries after each arrival, until ctx ends. After a device comes,
// udev makes the links that documents name it by, so it looks more than once.
func retryOn(ctx context.Context, arrivals <-chan struct{}, retry func()) {
	looks := []time.Duration{200 * time.Millisecond, time.Second, 4 * time.Second}
	for next := len(looks); ; {
		if next == len(looks) { // none is due
			select {
			case <-ctx.Done():
				return
			case <-arrivals:
				next = 0
			}
		}
		more := arrivals
		if next == 0 {
			more = nil // a flood of arrivals must not put the first look off
		}
		select {
		case <-ctx.Done():
			return
		case <-more:
			next = 0
		case <-time.After(looks[next]):
			retry()
			next++
		}
	}
}

// retryAt retries as soon as udev is done with a device, and not again before
// settledPause has passed: a shelf of disks comes as thousands of messages.
func retryAt(ctx context.Context, settled <-chan struct{}, retry func()) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-settled:
			retry()
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(settledPause):
		}
	}
}

const settledPause = 50 * time.Millisecond

// firstDocument is the rule about the document that an appliance begins with.
type firstDocument struct {
	app  *appliance.Appliance
	seed string
}

// Check implements alert.Rule.
func (f firstDocument) Check(ctx context.Context, b *alert.Board) error {
	const id = "document.refused"
	why := f.app.Refused()
	if why == nil {
		return nil
	}
	_, rev, err := f.app.Document(ctx)
	if err != nil {
		return err
	}
	if rev.Number > 0 {
		b.Clear(id, "document.accepted", "another document is in force")
		return nil
	}
	b.Raise(alert.Alert{ID: id, Severity: alert.Critical, Object: "array",
		Message: fmt.Sprintf("the first document %s is refused, and nothing is served: %v. Mend it, then run esos apply -f %s", f.seed, why, f.seed)})
	return nil
}
