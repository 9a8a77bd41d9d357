package appliance

import (
	"context"
	"fmt"
	"path"
	"time"

	"github.com/esos-project/esos/internal/layer/raid"
)

// ArrayChecks checks RAID arrays, and knows what the last checks found.
func (a *Appliance) ArrayChecks() raid.Checks {
	for _, l := range a.storage {
		if r, ok := l.(raid.Layer); ok {
			return r.Checks()
		}
	}
	return raid.Checks{Machine: a.disks}
}

// CheckArray begins a check of a RAID array ("check", "repair"), or ends it
// ("idle").
func (a *Appliance) CheckArray(ctx context.Context, name, action string) error {
	if !a.ownsMachine {
		return fmt.Errorf("%s array %s: %w", action, name, ErrNotOwner)
	}
	doc, _ := a.inForce()
	if err := a.ArrayChecks().Start(ctx, doc, name, action, time.Now()); err != nil {
		return err
	}
	switch action {
	case "idle":
		a.event("array.check-ended", raid.Object(name), "its check was ended before it was done")
	default:
		a.event("array.check-begun", raid.Object(name), "all of it is read and compared ("+action+")")
	}
	return nil
}

// FailArrayDisk takes a disk of a RAID array for failed, by its path in the
// document, its name in /dev/disk/by-id or the kernel's name. It is refused if
// the array would not work without the disk.
func (a *Appliance) FailArrayDisk(ctx context.Context, name, disk string) error {
	if !a.ownsMachine {
		return fmt.Errorf("take %s of array %s for failed: %w", disk, name, ErrNotOwner)
	}
	kernel := disk
	for _, p := range []string{disk, "/dev/disk/by-id/" + disk, "/dev/" + disk} {
		if real := a.disks.Real(p); path.IsAbs(p) && real != "" {
			kernel = path.Base(real)
			break
		}
	}
	doc, _ := a.inForce()
	if err := a.ArrayChecks().Fail(ctx, doc, name, kernel); err != nil {
		return err
	}
	a.event("array.disk-failed", raid.Object(name), disk+" is taken for failed, as was asked for")
	return nil
}
