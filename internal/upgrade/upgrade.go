package upgrade

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/google/renameio/v2"

	"github.com/esos-project/esos/internal/boot"
	"github.com/esos-project/esos/internal/host"
	"github.com/esos-project/esos/internal/slot"
)

// Prepared is an upgrade that was looked at: nothing on the medium has changed
// yet, and nothing that can be known beforehand stands against it.
type Prepared struct {
	Manifest slot.Manifest
	Slot     slot.Name // that it goes to
	Replaces string    // version that is in it; "" if none can be told
	// Checked says that every byte was read and is as it was signed. If not,
	// since it comes in a stream that is larger than memory, that is found out
	// while it is written.
	Checked bool
	// KeptMenu says, after Write, that somebody has changed GRUB's configuration
	// by hand, so that the new version's was not put in its place.
	KeptMenu bool

	m      *Machine
	bundle *Bundle
	source *Source
}

// spare is the memory that is left alone when a stream is kept there.
const spare = 256 << 20

// Prepare checks an upgrade: who signed it, whether all of it is there, whether
// there is room for it and memory to run it.
func (m *Machine) Prepare(ctx context.Context, s *Source) (*Prepared, error) {
	p, err := m.prepare(ctx, s)
	if err != nil {
		return nil, fmt.Errorf("upgrade from %s: refused, and nothing was changed: %w", s.Name, err)
	}
	return p, nil
}

func (m *Machine) prepare(ctx context.Context, s *Source) (*Prepared, error) {
	var head bytes.Buffer
	bundle, err := open(io.TeeReader(s.stream, &head), m.Trusted)
	if err != nil {
		return nil, err
	}
	if s.size >= 0 && s.size != bundle.Total() {
		return nil, fmt.Errorf("it has %d bytes, and ESOS %s has %d: the file is not complete, or more than one; fetch it again", s.size, bundle.Manifest.Version, bundle.Total())
	}
	memory, err := m.memory()
	if err != nil {
		return nil, err
	}
	if err := m.checkMemory(bundle.Manifest, memory); err != nil {
		return nil, err
	}
	p := &Prepared{Manifest: bundle.Manifest, Slot: m.Other(), m: m, bundle: bundle, source: s}
	if err := m.checkMedium(ctx, p); err != nil {
		return nil, err
	}
	if s.file == nil && memory.Available >= bundle.Total()+spare {
		if err := s.keep(ctx, head.Bytes(), bundle.Total(), func(done, total int64) { m.progress("fetch", done, total) }); err != nil {
			return nil, err
		}
	}
	if s.file == nil {
		return p, nil // the rest is checked as it comes
	}
	if err := p.again(); err != nil {
		return nil, err
	}
	if err := p.bundle.verify(ctx, func(done int64) { m.progress("check", done, bundle.Size()) }); err != nil {
		return nil, err
	}
	p.Checked = true
	return p, p.again()
}

// again reads the bundle from its beginning.
func (p *Prepared) again() error {
	b, err := open(io.NewSectionReader(p.source.file, 0, p.source.size), p.m.Trusted)
	if err == nil && !bytes.Equal(b.Data, p.bundle.Data) {
		err = errors.New("it changed meanwhile")
	}
	p.bundle = b
	return err
}

// checkMemory refuses an image that could not be loaded.
func (m *Machine) checkMemory(manifest slot.Manifest, memory host.Memory) error {
	root, err := manifest.Part(slot.RootFile)
	if err != nil {
		return err
	}
	if m.Report.Mode == boot.ModePersist {
		return nil // it runs from the medium
	}
	if need := boot.MemoryFor(root.Size); memory.Total < need {
		return fmt.Errorf("ESOS %s needs %d MiB of memory to boot, and this machine has %d: add memory", manifest.Version, need>>20, memory.Total>>20)
	}
	return nil
}

// checkMedium looks at the slot that is to be written: that it may be, and that
// the new version fits.
func (m *Machine) checkMedium(ctx context.Context, p *Prepared) (err error) {
	o, err := m.open(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, o.Close()) }()
	if err := m.errOnTrial(m.boots(o)); err != nil {
		return err
	}
	old, _ := m.look(ctx, o, p.Slot, false) // a damaged one is what upgrades are for
	p.Replaces = old.Version
	return m.checkRoom(o, p)
}

// room is what a file system's own tables may need for the new files.
const room = 4 << 20

func (m *Machine) checkRoom(o *opened, p *Prepared) error {
	for i, dir := range o.dirs(p.Slot) {
		label, need := "esos_root", int64(len(p.bundle.Data)+len(p.bundle.Sig)+room)
		if i == 0 {
			label, need = "ESOS_BOOT", room
		}
		for _, part := range p.Manifest.Parts {
			if isBootPart(part.Name) == (i == 0) {
				need += part.Size
			}
		}
		space, err := m.space(filepath.Dir(dir))
		if err != nil {
			return err
		}
		have := space.Free
		files, err := os.ReadDir(dir)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		for _, f := range files { // they make room
			if st, err := f.Info(); err == nil {
				have += st.Size()
			}
		}
		if have < need {
			return fmt.Errorf("too little room: slot %s of ESOS %s takes %d MiB of %s, and there are %d: write a new medium with mkesos, which can be larger",
				p.Slot, p.Manifest.Version, need>>20, label, have>>20)
		}
	}
	return nil
}

// Write writes the upgrade into the slot that does not run and tells GRUB to
// try it at the next boot. Wherever it ends, the running slot boots as before.
func (p *Prepared) Write(ctx context.Context, serving *Serving) error {
	lock, err := p.m.take()
	if err != nil {
		return fmt.Errorf("upgrade to ESOS %s: %w", p.Manifest.Version, err)
	}
	defer lock.Close()
	if err := p.write(ctx, serving); err != nil {
		return fmt.Errorf("upgrade to ESOS %s: %w; the next boot is of slot %s as before, and slot %s is to be written again",
			p.Manifest.Version, err, p.m.Running(), p.Slot)
	}
	return nil
}

func (p *Prepared) write(ctx context.Context, serving *Serving) (err error) {
	m := p.m
	if err := m.keep(ctx, Record{Slot: p.Slot, Version: p.Manifest.Version, From: m.Report.Version, When: time.Now().UTC(), Serving: serving},
		"before upgrade to "+p.Manifest.Version); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, m.Forget())
		}
	}()
	o, err := m.open(ctx)
	if err != nil {
		return err
	}
	if err := p.fill(ctx, o); err != nil {
		return errors.Join(err, o.Close())
	}
	// Not before all of it is on the drive.
	if err := WriteBoots(o.boot.Path(), Boots{Default: m.Running(), Trial: p.Slot, Left: Tries}); err != nil {
		return errors.Join(err, o.Close())
	}
	return o.Close()
}

// keep notes what is tried, and saves it with the settings as they are: those
// that the running slot comes back with.
func (m *Machine) keep(ctx context.Context, r Record, reason string) error {
	if err := WriteRecord(m.Record, r); err != nil {
		return err
	}
	if err := m.save(ctx, reason); err != nil {
		return errors.Join(fmt.Errorf("save the settings first: %w", err), m.Forget())
	}
	return nil
}

// fill makes the slot what the bundle says. The manifest comes last: a slot
// without one is no slot.
func (p *Prepared) fill(ctx context.Context, o *opened) error {
	m := p.m
	if b := m.boots(o); m.errOnTrial(b) != nil {
		return m.errOnTrial(b)
	}
	if err := WriteBoots(o.boot.Path(), Boots{Default: m.Running()}); err != nil {
		return err
	}
	menus := m.menus(o)
	if err := m.empty(o, p.Slot); err != nil {
		return fmt.Errorf("empty slot %s: %w", p.Slot, err)
	}
	total := p.bundle.Size()
	err := p.bundle.Parts(ctx, func(part slot.Part) (io.WriteCloser, error) { return create(o.file(p.Slot, part.Name), part.Size) },
		func(done int64) { m.progress("write slot "+string(p.Slot), done, total) })
	if err != nil {
		return err
	}
	for _, dir := range o.dirs(p.Slot) {
		if err := host.SyncDir(dir); err != nil {
			return err
		}
	}
	if err := m.readBack(ctx, o, p.Slot, p.Manifest); err != nil {
		return fmt.Errorf("read back what was written: %w; the medium may be broken: write another one", err)
	}
	if p.KeptMenu, err = m.updateMenu(o, p.Slot, menus); err != nil {
		return err
	}
	for name, data := range map[string][]byte{slot.SignatureFile: p.bundle.Sig, slot.ManifestFile: p.bundle.Data} {
		if err := renameio.WriteFile(o.file(p.Slot, name), data, 0o644); err != nil {
			return err
		}
	}
	if err := host.SyncDir(o.dirs(p.Slot)[1]); err != nil {
		return err
	}
	_, err = m.look(ctx, o, p.Slot, false)
	return err
}

// empty takes a slot away: from GRUB first, then from esos-init.
func (m *Machine) empty(o *opened, name slot.Name) error {
	for _, dir := range o.dirs(name) {
		if err := host.MakeDir(dir, 0o755); err != nil {
			return err
		}
		files, err := os.ReadDir(dir)
		if err != nil {
			return err
		}
		for _, f := range files {
			if err := os.RemoveAll(filepath.Join(dir, f.Name())); err != nil {
				return err
			}
		}
		if err := host.SyncDir(dir); err != nil {
			return err
		}
	}
	return nil
}

// part is a file of a slot that is being written, under another name.
type part struct {
	*os.File
	name string
	left int64
}

func create(name string, size int64) (io.WriteCloser, error) {
	f, err := os.OpenFile(name+".new", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	return &part{File: f, name: name, left: size}, nil
}

func (p *part) Write(b []byte) (int, error) {
	n, err := p.File.Write(b)
	p.left -= int64(n)
	return n, err
}

// Close gives it its name once all of it is on the drive; GRUB must not find
// what is not complete.
func (p *part) Close() error {
	if p.left != 0 {
		return errors.Join(p.File.Close(), remove(p.name+".new"))
	}
	if err := errors.Join(p.Sync(), p.File.Close()); err != nil {
		return err
	}
	return os.Rename(p.name+".new", p.name)
}
