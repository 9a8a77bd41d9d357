package daemon

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	sd "github.com/coreos/go-systemd/v22/daemon"

	"github.com/esos-project/esos/internal/client"
)

// heartbeat tells systemd's watchdog, if there is one, that the daemon is
// well: that it answers a request at its own socket, which goes through the
// API, the appliance and esos-target. An esos-target that does not answer
// makes the answer late, not wrong: it has a watchdog of its own, and
// restarting the daemon would not mend it.
func heartbeat(ctx context.Context, log *slog.Logger, socket string) error {
	limit, err := sd.SdWatchdogEnabled(false)
	if err != nil {
		return fmt.Errorf("read what the watchdog expects: %w", err)
	}
	if limit == 0 {
		return nil
	}
	c, err := client.New(client.Options{Socket: socket})
	if err != nil {
		return fmt.Errorf("look after the daemon: %w", err)
	}
	defer c.Close()
	tick := time.NewTicker(limit / 3)
	defer tick.Stop()
	for {
		actx, cancel := context.WithTimeout(ctx, limit/3)
		_, err := c.Status(actx)
		cancel()
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			log.Warn("the daemon does not answer itself; systemd will restart it if that goes on", "err", err)
		default:
			notify(log, sd.SdNotifyWatchdog)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}
