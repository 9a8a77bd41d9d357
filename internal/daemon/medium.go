package daemon

import (
	"context"
	"errors"
	"io/fs"
	"path/filepath"
	"time"

	"github.com/esos-project/esos/internal/alert"
	"github.com/esos-project/esos/internal/boot"
)

// settings is the label of the partition that settings are saved to.
const settings = "esos_conf"

// theMedium is the rule about the boot medium, whichever it is now: another one
// may be adopted (esos medium adopt).
type theMedium struct{ runDir string }

// Check implements alert.Rule.
func (m theMedium) Check(ctx context.Context, b *alert.Board) error {
	r, err := bootMedium(m.runDir)
	if err != nil || r == nil {
		return err
	}
	return r.Check(ctx, b)
}

// bootMedium is the rule about the medium that this system was booted from;
// nil on a machine that was not, or from one that nothing is saved to.
func bootMedium(runDir string) (alert.Rule, error) {
	r, err := boot.ReadReport(filepath.Join(runDir, filepath.Base(boot.ReportFile)))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	p, saved := r.Medium.Partitions[settings]
	if !saved || r.Mode == boot.ModeLive || r.Mode == boot.ModeInstall {
		return nil, nil
	}
	m := alert.Medium{Label: settings, UUID: p.UUID, Device: r.Medium.Device, Sys: "/sys", Udev: "/run/udev/data", Settle: 2 * time.Second}
	if r.Medium.Model != "" {
		m.Device += ", " + r.Medium.Model
	}
	return m, nil
}
