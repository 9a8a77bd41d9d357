package upgrade

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/google/renameio/v2"

	"github.com/esos-project/esos/internal/boot"
	"github.com/esos-project/esos/internal/medium"
	"github.com/esos-project/esos/internal/slot"
)

// FellBack is the slot whose trial failed before this boot; "" if none did.
func (m *Machine) FellBack() slot.Name {
	o := m.Report.Options
	switch {
	case o.FellBack != "" && o.FellBack != m.Running():
		return o.FellBack
	case o.Trial && o.Slot != m.Running(): // esos-init found it damaged
		return o.Slot
	}
	return ""
}

// Failed notes that the trial of the other slot failed, and why, as far as that
// can be told; saves that with the settings; and has GRUB try it no more. Until
// it returned nil it is to be called again: the medium may be away.
func (m *Machine) Failed(ctx context.Context) error {
	name := m.FellBack()
	if name == "" {
		return nil
	}
	found, err := m.why(ctx, name)
	if err != nil {
		// The alert does not wait for the medium.
		return errors.Join(fmt.Errorf("find out why the trial of slot %s failed: %w", name, err),
			m.noteFailed(name, "it is not known, since the medium cannot be read", ""))
	}
	if !found.tried {
		return nil // it was noted before, by an earlier daemon of this boot
	}
	if err := m.noteFailed(name, found.why, found.version); err != nil {
		return err
	}
	if err := m.save(ctx, fmt.Sprintf("slot %s failed its trial", name)); err != nil {
		return fmt.Errorf("save that the trial of slot %s failed: %w", name, err)
	}
	return m.tell(ctx, Boots{Default: m.Running()})
}

// noteFailed writes a failure into the record.
func (m *Machine) noteFailed(name slot.Name, why, version string) error {
	r, err := ReadRecord(m.Record)
	if err != nil || r == nil || r.Slot != name {
		r = &Record{Slot: name} // settings of before: nobody noted it in them
	}
	if r.Failed == nil {
		r.Failed = &Failure{When: time.Now().UTC()}
	}
	r.Failed.Why = why
	if r.Version == "" {
		r.Version = version
	}
	return WriteRecord(m.Record, *r)
}

// found is what the medium tells of a trial that failed.
type found struct {
	tried        bool // GRUB would go on trying
	why, version string
}

// why looks on the medium for what the system that failed left.
func (m *Machine) why(ctx context.Context, name slot.Name) (f found, err error) {
	o, err := m.open(ctx)
	if err != nil {
		return f, err
	}
	defer func() { err = errors.Join(err, o.Close()) }()
	b := m.boots(o)
	manifest, lookErr := m.look(ctx, o, name, false)
	note, noteErr := boot.ReadTrialNote(o.file(name, boot.TrialNoteFile))
	f = found{tried: b.Trial == name, version: manifest.Version}
	damaged := slices.IndexFunc(m.Report.DamagedSlots, func(d boot.Damage) bool { return d.Slot == name })
	switch {
	case damaged >= 0:
		f.why = m.Report.DamagedSlots[damaged].Reason
	case noteErr == nil:
		f.why = note.Why
	case lookErr != nil:
		f.why = lookErr.Error()
	case b.Left == Tries:
		f.why = "GRUB did not try it: it cannot write to the medium, and so could not have counted"
	case b.Left > 0:
		f.why = "GRUB could not load it, or somebody chose another entry in GRUB's menu"
	default:
		f.why = fmt.Sprintf("it was booted %d times and did not get far enough to say why", Tries)
	}
	return f, nil
}

// GiveUp leaves word for the system that is booted next why this trial is given
// up.
func (m *Machine) GiveUp(ctx context.Context, why string) (err error) {
	p, err := m.attach(ctx, medium.LabelRoot)
	if err != nil {
		return fmt.Errorf("leave word of the trial: %w", err)
	}
	defer func() { err = errors.Join(err, p.Close()) }()
	text, err := json.Marshal(boot.TrialNote{When: time.Now().UTC(), Why: why})
	if err != nil {
		return err
	}
	o := opened{root: p}
	if err := renameio.WriteFile(o.file(m.Running(), boot.TrialNoteFile), append(text, '\n'), 0o644); err != nil {
		return fmt.Errorf("leave word of the trial: %w", err)
	}
	return nil
}

// PassedFile is there from when a system on trial was found healthy, so that
// nothing reboots it for want of that any more.
const PassedFile = "/run/esos/trial-passed"

// Pass says that the system is healthy, whether or not the medium can be told.
func Pass() error {
	if err := os.WriteFile(PassedFile, nil, 0o644); err != nil {
		return fmt.Errorf("note that the system is healthy: %w", err)
	}
	return nil
}

// Passed tells whether a system on trial was found healthy.
func Passed() bool {
	_, err := os.Stat(PassedFile)
	return err == nil
}
