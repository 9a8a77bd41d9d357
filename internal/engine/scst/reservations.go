package scst

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/esos-project/esos/internal/host"
)

// ReservationsDir is where SCST keeps persistent reservations (SCST_PR_DIR),
// seen from the root of process 1. It must be there: without it no device can
// be added.
const ReservationsDir = "/var/lib/scst/pr"

// keepReservations has what SCST keeps through a loss of power be on storage
// that survives one: its directory is a link to one below StateDir. (The
// attribute pr_file_name of a device says another file; but what was kept is
// read when the device is added, before that could be said.)
func (e *Engine) keepReservations() error {
	to := filepath.Join(e.opt.StateDir, "pr")
	if err := host.MakeDir(to, 0o700); err != nil {
		return fmt.Errorf("make the directory for persistent reservations: %w", err)
	}
	at := e.opt.Reservations
	if now, err := os.Readlink(at); err == nil && now == to {
		return nil
	}
	left, err := os.ReadDir(at)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("look at SCST's persistent reservations: %w", err)
	}
	if len(left) > 0 {
		// What is there is SCST's, and stays: somebody else's devices may be served.
		e.log.Warn("SCST keeps persistent reservations where it did before, because some are there; move them and remove the directory to have them survive",
			"now", at, "wanted", to)
		return nil
	}
	// An empty directory, or a link that leads elsewhere or nowhere.
	if err := os.Remove(at); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("have persistent reservations kept in %s: %w", to, err)
	}
	if err := host.MakeDir(filepath.Dir(at), 0o755); err != nil {
		return fmt.Errorf("make the directory for persistent reservations: %w", err)
	}
	if err := os.Symlink(to, at); err != nil {
		return fmt.Errorf("have persistent reservations kept in %s: %w", to, err)
	}
	return nil
}
