package upgrade

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/esos-project/esos/internal/boot"
	"github.com/esos-project/esos/internal/slot"
)

// Rollback has the next boot be of the other slot, on trial as after an
// upgrade: one that does not come up is not the end either. A slot that is
// damaged is refused. With ownSettings it gets those that it last ran with,
// instead of the newest.
func (m *Machine) Rollback(ctx context.Context, ownSettings bool, serving *Serving) (slot.Manifest, error) {
	lock, err := m.take()
	if err != nil {
		return slot.Manifest{}, fmt.Errorf("roll back: %w", err)
	}
	defer lock.Close()
	manifest, err := m.rollback(ctx, ownSettings, serving)
	if err != nil {
		return manifest, fmt.Errorf("roll back to slot %s: %w", m.Other(), err)
	}
	return manifest, nil
}

func (m *Machine) rollback(ctx context.Context, ownSettings bool, serving *Serving) (slot.Manifest, error) {
	manifest, err := m.bootable(ctx)
	if err != nil {
		return manifest, err
	}
	if err := m.keep(ctx, Record{Slot: m.Other(), Version: manifest.Version, From: m.Report.Version, Rollback: true, When: time.Now().UTC(), Serving: serving},
		"before rollback to "+manifest.Version); err != nil {
		return manifest, err
	}
	err = m.tell(ctx, Boots{Default: m.Running(), Trial: m.Other(), Left: Tries, OwnSettings: ownSettings})
	if err != nil {
		err = errors.Join(err, m.Forget())
	}
	return manifest, err
}

// bootable checks the other slot to the last byte, and that it may be booted.
func (m *Machine) bootable(ctx context.Context) (_ slot.Manifest, err error) {
	o, err := m.open(ctx)
	if err != nil {
		return slot.Manifest{}, err
	}
	defer func() { err = errors.Join(err, o.Close()) }()
	manifest, err := m.look(ctx, o, m.Other(), true)
	if err != nil {
		return manifest, fmt.Errorf("refused, since it could not be booted: %w", err)
	}
	memory, err := m.memory()
	if err != nil {
		return manifest, err
	}
	return manifest, m.checkMemory(manifest, memory)
}

// tell writes what GRUB is to boot.
func (m *Machine) tell(ctx context.Context, b Boots) error {
	p, err := m.attach(ctx, "ESOS_BOOT")
	if err != nil {
		return fmt.Errorf("tell GRUB what to boot: %w", err)
	}
	return errors.Join(WriteBoots(p.Path(), b), p.Close())
}

// Confirm makes the slot that runs the default: nothing is on trial any more.
func (m *Machine) Confirm(ctx context.Context) error {
	if err := m.tell(ctx, Boots{Default: m.Running()}); err != nil {
		return fmt.Errorf("make slot %s the default: %w", m.Running(), err)
	}
	return m.Forget()
}

// EndTrial makes the slot that runs the default, if it is on trial. Nothing
// happens if it is not any more: what was prepared since is to be tried.
func (m *Machine) EndTrial(ctx context.Context) error {
	b, err := m.Boots(ctx)
	if err != nil {
		return err
	}
	if b.Trial != m.Running() {
		return nil
	}
	return m.Confirm(ctx)
}

// Boots reads what GRUB is told.
func (m *Machine) Boots(ctx context.Context) (b Boots, err error) {
	p, err := m.attach(ctx, "ESOS_BOOT")
	if err != nil {
		return b, fmt.Errorf("read what GRUB boots: %w", err)
	}
	defer func() { err = errors.Join(err, p.Close()) }()
	return ReadBoots(p.Path())
}

// OnTrial says whether this boot is a trial of the slot that runs.
func (m *Machine) OnTrial() bool { return onTrial(m.Report) }

func onTrial(r boot.Report) bool { return r.Options.Trial && r.Slot == r.Options.Slot }
