package upgrade

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"github.com/esos-project/esos/internal/host"
	"github.com/esos-project/esos/internal/medium"
	"github.com/esos-project/esos/internal/persist"
	"github.com/esos-project/esos/internal/slot"
)

// SlotInfo is a slot of the medium, as it was found there.
type SlotInfo struct {
	Slot    slot.Name `json:"slot"`
	Version string    `json:"version,omitempty"`
	Built   time.Time `json:"built,omitzero"`
	Kernel  string    `json:"kernel,omitempty"`
	Running bool      `json:"running"`
	Default bool      `json:"default"`
	// Left is how often a slot on trial is booted yet; nil if it is not on trial.
	Left *int `json:"boots_left,omitempty"`
	// Generation is that of the settings that it last ran with; 0 if nobody
	// noted it.
	Generation int  `json:"generation,omitempty"`
	Verified   bool `json:"verified"` // every byte was read and is right
	// Damage is why the slot cannot be booted; "" if it can.
	Damage string `json:"damage,omitempty"`
}

// verifyWorkers is how many chunks are checked at a time: one is read while
// another is computed.
const verifyWorkers = 2

// Slots looks at both slots; with verify every byte of them is read from the
// medium and checked.
func (m *Machine) Slots(ctx context.Context, verify bool) (_ []SlotInfo, err error) {
	o, err := m.open(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, o.Close()) }()
	b := m.boots(o)
	generations, unknown := m.generations(ctx)
	if unknown != nil {
		generations = nil
	}
	var list []SlotInfo
	for _, name := range []slot.Name{slot.Primary, slot.Secondary} {
		i := SlotInfo{Slot: name, Running: name == m.Running(), Default: name == b.Default}
		if b.Trial == name {
			i.Left = &b.Left
		}
		manifest, err := m.look(ctx, o, name, verify)
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if err != nil {
			i.Damage = err.Error()
		}
		i.Verified, i.Generation = verify && err == nil, generations[string(name)]
		if manifest.Version != "" {
			i.Version, i.Built, i.Kernel = manifest.Version, manifest.BuiltAt(), manifest.Kernel
		}
		list = append(list, i)
	}
	return list, nil
}

// look reads a slot's manifest, and checks that its parts are as it says: their
// sizes or, with verify, all of their bytes. An error that comes with a
// manifest is of the parts.
func (m *Machine) look(ctx context.Context, o *opened, name slot.Name, verify bool) (slot.Manifest, error) {
	data, err := readSmall(o.file(name, slot.ManifestFile), slot.MaxManifest)
	if errors.Is(err, fs.ErrNotExist) {
		return slot.Manifest{}, errors.New("it is empty, or was not written to its end: 'esos upgrade' fills it")
	}
	if err != nil {
		return slot.Manifest{}, err
	}
	sig, err := readSmall(o.file(name, slot.SignatureFile), 1024)
	if err != nil {
		return slot.Manifest{}, err
	}
	manifest, err := slot.Open(data, sig, m.Trusted)
	if err != nil {
		return slot.Manifest{}, err
	}
	for _, p := range manifest.Parts {
		st, err := os.Stat(o.file(name, p.Name))
		if err == nil && st.Size() != p.Size {
			err = fmt.Errorf("%s has %d bytes, and its manifest says %d", p.Name, st.Size(), p.Size)
		}
		if err != nil {
			return manifest, err
		}
	}
	if verify {
		err = m.readBack(ctx, o, name, manifest)
	}
	return manifest, err
}

// readBack reads every part of a slot from the drive, and checks it.
func (m *Machine) readBack(ctx context.Context, o *opened, name slot.Name, manifest slot.Manifest) error {
	step := fmt.Sprintf("check slot %s", name)
	var before, total int64
	for _, p := range manifest.Parts {
		total += p.Size
	}
	for _, p := range manifest.Parts {
		f, err := host.OpenFromDrive(o.file(name, p.Name))
		if err != nil {
			return err
		}
		err = p.Verify(ctx, f, verifyWorkers, func(done int64) { m.progress(step, before+done, total) })
		if err := errors.Join(err, f.Close()); err != nil {
			return err
		}
		before += p.Size
	}
	return nil
}

// readSmall reads a file that must not be larger than limit.
func readSmall(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(data)) > limit {
		err = fmt.Errorf("%s has more than %d bytes", path, limit)
	}
	return data, err
}

// generations are those of the settings that each slot last ran with. They are
// told as far as they are known: nothing hangs on them.
func (m *Machine) generations(ctx context.Context) (by map[string]int, err error) {
	p, err := m.attach(ctx, medium.LabelConf)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, p.Close()) }()
	list, err := persist.Inspect(p.Path())
	if err != nil {
		return nil, err
	}
	by = map[string]int{}
	for _, g := range list {
		for _, name := range g.Slots {
			by[name] = g.Number
		}
	}
	return by, nil
}
