// Package encrypted is the layer of encrypted block devices (LUKS2): it makes
// them, opens them at boot, lets them grow, and closes or erases them.
package encrypted

import (
	"context"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/host/block"
	"github.com/esos-project/esos/internal/host/luks"
	"github.com/esos-project/esos/internal/layer"
	"github.com/esos-project/esos/internal/plan"
)

// Machine is the part of the host that this layer works with (host.Linux).
type Machine interface {
	block.Machine
	block.Prober
	ReadFile(path string) ([]byte, error)
	Save(path string, data []byte, mode fs.FileMode) error
	Delete(path string) error
	MakeDir(path string, mode fs.FileMode) error
}

// Keys are keys that are in memory only (the appliance's).
type Keys interface {
	// Typed returns a copy of the passphrase that somebody typed for an
	// encrypted device, and whether it may make what is not there yet; nil if
	// nobody did.
	Typed(name string) (passphrase []byte, mayMake bool)
	// Forget drops it.
	Forget(name string)
	// Show keeps a recovery key until it has been shown once.
	Show(name, key string)
}

// Layer plans encrypted devices.
type Layer struct {
	Machine Machine
	Keys    Keys
	DataDir string // keys are below it, and travel with the saved settings
	// OnVolumes has it plan those that lie on volumes of LVM, and else the others:
	// volumes lie on these, and so are planned between the two.
	OnVolumes bool
}

// Name is encrypted.
func (Layer) Name() string { return "encrypted" }

// Where a key comes from, as the document says it.
const (
	byFile  = "file"
	byTPM2  = "tpm2"
	byTyped = "typed"
)

// object names an encrypted device.
func object(name string) string { return "encrypted/" + name }

// UUID is what an encrypted device is known by.
func UUID(doc *config.Document, e config.Encrypted) string {
	if e.UUID != "" {
		return strings.ToLower(e.UUID)
	}
	return config.DerivedUUID(doc.ID, object(e.Name))
}

// keyFile is where the key of one is kept, readable by root only.
func (l Layer) keyFile(name string) string { return filepath.Join(l.DataDir, "keys", name) }

// unseenFile is there while nobody has seen the recovery key of one.
func (l Layer) unseenFile(name string) string { return l.keyFile(name) + ".unseen" }

// RecoveryShown notes that somebody has the recovery key of one.
func RecoveryShown(m Machine, dataDir, name string) error {
	l := Layer{Machine: m, DataDir: dataDir}
	if err := m.Delete(l.unseenFile(name)); err != nil {
		return fmt.Errorf("note that the recovery key of %s was shown: %w", name, err)
	}
	return nil
}

// Observe looks at the headers of what is declared, and which keys there are.
func (l Layer) Observe(ctx context.Context, declared *config.Document, seen *layer.Observed) error {
	s, inv := &seen.Storage.Encrypted, seen.Storage.Blocks
	if inv == nil || l.OnVolumes { // the other one looked
		return ctx.Err()
	}
	s.Headers, s.Keys, s.Typed, s.Unseen = map[string]luks.Header{}, map[string]bool{}, map[string]bool{}, map[string]bool{}
	for _, e := range declared.Storage.Encrypted {
		if d, ok := inv.Find(e.Device); ok && d.Signature == luks.Type {
			if h, err := luks.Read(ctx, l.Machine, d.Path); err == nil {
				s.Headers[d.Name] = h
			}
		}
		switch e.Key {
		case byFile:
			_, err := l.Machine.ReadFile(l.keyFile(e.Name))
			s.Keys[e.Name] = err == nil
		case byTyped:
			if key, mayMake := l.Keys.Typed(e.Name); key != nil {
				luks.Secret{Bytes: key}.Forget()
				s.Typed[e.Name] = mayMake
			}
		case byTPM2:
			_, err := l.Machine.ReadFile(l.unseenFile(e.Name))
			s.Unseen[e.Name] = err == nil
		}
	}
	return ctx.Err()
}

// Plan makes, opens, grows, closes and erases encrypted devices.
func (l Layer) Plan(declared *config.Document, seen *layer.Observed, b *plan.Builder) {
	p := planner{Layer: l, declared: declared, seen: seen, b: b}
	p.others() // first: what is deleted frees devices
	for _, e := range inOrder(declared.Storage.Encrypted) {
		if onVolume(declared, e) == l.OnVolumes {
			p.want(e)
		}
	}
}

// onVolume says whether one lies on a volume, or on another one that does.
func onVolume(d *config.Document, e config.Encrypted) bool {
	for range d.Storage.Encrypted {
		provider := d.Storage.Provider(e.Device)
		name, encrypted := strings.CutPrefix(provider, "encrypted/")
		if !encrypted {
			return strings.HasPrefix(provider, "volume/")
		}
		below, err := d.FindEncrypted(name)
		if err != nil {
			return false
		}
		e = *below
	}
	return false // it stands on itself, which is refused
}

// inOrder has those that stand on others after these.
func inOrder(all []config.Encrypted) []config.Encrypted {
	var order []config.Encrypted
	placed := map[string]bool{}
	var place func(e config.Encrypted, depth int)
	place = func(e config.Encrypted, depth int) {
		if placed[e.Name] || depth > len(all) {
			return
		}
		for _, below := range all {
			if below.Path() == e.Device {
				place(below, depth+1)
			}
		}
		if !placed[e.Name] {
			placed[e.Name] = true
			order = append(order, e)
		}
	}
	for _, e := range all {
		place(e, 0)
	}
	return order
}

// planner plans for one document.
type planner struct {
	Layer
	declared *config.Document
	seen     *layer.Observed
	b        *plan.Builder
}

// want plans one that is declared.
func (p *planner) want(e config.Encrypted) {
	inv := p.seen.Storage.Blocks
	if inv == nil {
		p.seen.Refuse(p.b, object(e.Name), e, "the block devices could not be looked at: %v", p.seen.Storage.Err)
		return
	}
	if before, was := p.before(e.Name); was && before.Key != e.Key {
		p.b.Problem(object(e.Name), "its key is %s and does not become %s: make a new one with another key, and copy", before.Key, e.Key)
		return
	}
	if d, there := inv.Find(e.Path()); there {
		p.open(e, d)
		return
	}
	p.missing(e)
}

// before is what the document in force says of one.
func (p *planner) before(name string) (config.Encrypted, bool) {
	v, ok := p.seen.Before(object(name))
	if !ok {
		return config.Encrypted{}, false
	}
	e, ok := v.(config.Encrypted)
	return e, ok
}

// backing is the device that an open one is on.
func backing(inv *block.Inventory, open block.Device) (block.Device, bool) {
	if open.Type != "crypt" || len(open.Below) != 1 {
		return block.Device{}, false
	}
	return inv.Named(open.Below[0])
}

// open plans one that is open: it grows with what it is on.
func (p *planner) open(e config.Encrypted, open block.Device) {
	inv, name := p.seen.Storage.Blocks, object(e.Name)
	below, ok := backing(inv, open)
	if !ok {
		p.seen.Refuse(p.b, name, e, "%s is something else (%s), or its device is gone; take that away, or give another name", e.Path(), open.Type)
		return
	}
	if !strings.EqualFold(below.UUID, UUID(p.declared, e)) {
		p.seen.Refuse(p.b, name, e, "%s is open on %s, which is another one (UUID %s): close it, or declare it with that uuid", e.Path(), below.Friendly(), below.UUID)
		return
	}
	if want, found := inv.Find(e.Device); found && want.Name != below.Name {
		p.seen.Refuse(p.b, name, e, "it is on %s and stays there: what it holds is not moved to %s; make a new one there and copy", below.Friendly(), e.Device)
		return
	}
	if p.seen.Storage.Encrypted.Unseen[e.Name] {
		p.b.Degraded(name, "nobody has its recovery key: if this machine's board fails, all of it is lost; 'esos encryption recovery-key %s' shows it once, write it down", e.Name)
	}
	p.grow(e, open, below)
}

// growBy is how much must have been gained for it to be worth a step.
const growBy = 1 << 20

func (p *planner) grow(e config.Encrypted, open, below block.Device) {
	header, known := p.seen.Storage.Encrypted.Headers[below.Name]
	size := below.Size
	var needs []plan.ID
	if coming, ok := p.b.Coming(e.Device); ok {
		needs, size = append(needs, coming.Step), max(size, coming.Size)
	}
	size -= header.Offset
	if !known || size < open.Size+growBy {
		return
	}
	id := plan.StepID(plan.Change, object(e.Name))
	p.b.Add(plan.Step{
		ID: id, Layer: p.Name(), Object: object(e.Name), Action: plan.Change, Needs: needs,
		Sentence: fmt.Sprintf("Grow encrypted device %s from %s to %s", e.Name, config.Size(open.Size).Human(), config.Size(size).Human()),
		Do:       func(ctx context.Context, _ plan.Report) error { return luks.Resize(ctx, p.Machine, e.Name) },
		// What is on it may have grown already; a larger one does no harm.
		Undo: func(context.Context) error { return nil },
	})
	p.b.Comes(e.Path(), plan.Coming{Step: id, Size: size})
}

// holds says whether a device holds encrypted data of that UUID.
func (p *planner) holds(d block.Device, uuid string) bool {
	return slices.ContainsFunc(p.contents(d), func(c block.Content) bool { return c.Type == luks.Type && strings.EqualFold(c.UUID, uuid) })
}

func (p *planner) contents(d block.Device) []block.Content {
	if found, looked := p.seen.Storage.Contents[d.Name]; looked {
		return found
	}
	if d.Signature == "" {
		return nil
	}
	return []block.Content{{Type: d.Signature, Label: d.Label, UUID: d.UUID}}
}
