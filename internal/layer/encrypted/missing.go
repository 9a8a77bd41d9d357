package encrypted

import (
	"fmt"
	"strings"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/layer"
	"github.com/esos-project/esos/internal/layer/disk"
	"github.com/esos-project/esos/internal/plan"
)

// headerSize is what LUKS2 takes of a device (cryptsetup(8), --offset).
const headerSize = 16 << 20

// missing plans one that is not open: it is opened if it is there, made if it
// was not declared before, and else told.
func (p *planner) missing(e config.Encrypted) {
	id, name := UUID(p.declared, e), object(e.Name)
	_, was := p.before(e.Name)
	c := p.seen.Claim(p.declared, p.b, e.Device)
	if c.Missing != "" {
		p.seen.Refuse(p.b, name, e, "%s; it is opened as soon as that is there", c.Missing)
		return
	}
	there := c.Device.Name != ""
	_, freed := p.b.Freed(c.Device.Name)
	switch {
	case there && !freed && p.holds(c.Device, id):
		p.found(e, c, was)
	case !there && (was || e.UUID != ""):
		p.unlock(e, c, false)
	case was:
		p.lost(e, c)
	default:
		p.create(e, c)
	}
}

// found plans one that is on its device, as it should be.
func (p *planner) found(e config.Encrypted, c layer.Claim, was bool) {
	name := object(e.Name)
	switch {
	case c.Refused != "":
		p.seen.Refuse(p.b, name, e, "%s; it is opened when that has ended", c.Refused)
		return
	case !was && e.UUID == "" && e.Key == byFile && !p.seen.Storage.Encrypted.Keys[e.Name]:
		// It was made when this document could not be kept, or by another boot
		// medium: nobody can read it.
		p.b.Note(name, "%s was encrypted as %s once, and its key is not among the saved settings; restore a backup of them to read it", e.Device, e.Name)
		p.create(e, c)
		return
	case !was && e.UUID == "":
		p.b.Note(name, "%s holds it already; it is opened with what it holds", e.Device)
	}
	p.unlock(e, c, false)
}

// lost tells of one that was there before and is not any more. A new one in its
// place would be empty. One whose passphrase is asked for is made only then,
// so that it may never have been there.
func (p *planner) lost(e config.Encrypted, c layer.Claim) {
	name := object(e.Name)
	holds := "nothing"
	found := p.contents(c.Device)
	if len(found) > 0 {
		holds = found[0].String()
	}
	for _, d := range p.seen.Storage.Blocks.Devices() {
		if strings.EqualFold(d.UUID, UUID(p.declared, e)) && d.Name != c.Device.Name {
			p.b.Block(name, "it is on %s (%s), not on %s; name that as its device", d.Friendly(), layer.Describe(d), e.Device)
			return
		}
	}
	mayMake, typed := p.seen.Storage.Encrypted.Typed[e.Name]
	if e.Key == byTyped && e.UUID == "" && len(found) == 0 && c.Refused == "" {
		if !typed || !mayMake {
			p.b.Block(name, "waits for its passphrase: 'esos encryption unlock %s' asks for a new one and makes it, since %s is blank; if it was made before, the wrong device is there", e.Name, e.Device)
			return
		}
		p.unlock(e, c, true)
		return
	}
	p.b.Block(name, "%s holds %s, and not the encrypted data that were there (UUID %s): they are not made anew; bring the right device back, or give it up ('esos encryption delete %s') and create it again",
		e.Device, holds, UUID(p.declared, e), e.Name)
}

// create plans one that is new, on a device that is blank or whose contents
// are given up by name.
func (p *planner) create(e config.Encrypted, c layer.Claim) {
	name := object(e.Name)
	switch {
	case c.Refused != "":
		p.b.Problem(name, "%s", c.Refused)
		return
	case e.UUID != "":
		p.b.Problem(name, "%s holds no encrypted data with UUID %s, and what is taken up is never made; leave uuid out to have it made", e.Device, e.UUID)
		return
	case c.Size > 0 && c.Size < 2*headerSize:
		p.b.Problem(name, "%s has %s, of which encryption takes %s; take a larger one", e.Device, config.Size(c.Size).Human(), config.Size(headerSize).Human())
		return
	}
	for _, found := range p.contents(c.Device) {
		if _, freed := p.b.Freed(c.Device.Name); !freed && found.Type == "crypto_LUKS" && found.UUID != UUID(p.declared, e) {
			p.b.Note(name, "%s holds encrypted data that were not made as %s: set its uuid to %s to take them up, with the key that they have", e.Device, e.Name, found.UUID)
		}
	}
	c.Needs = disk.Wipe(p.Machine, c, p.b)
	if _, typed := p.seen.Storage.Encrypted.Typed[e.Name]; e.Key == byTyped && !typed {
		p.waits(e)
		return
	}
	p.unlock(e, c, true)
}

// waits leaves out one that nobody has typed the passphrase of.
func (p *planner) waits(e config.Encrypted) {
	p.b.Block(object(e.Name), "waits for its passphrase: esos encryption unlock %s", e.Name)
}

// unlock plans to open one, and with create to make it before.
func (p *planner) unlock(e config.Encrypted, c layer.Claim, create bool) {
	name, seen := object(e.Name), &p.seen.Storage.Encrypted
	if _, typed := seen.Typed[e.Name]; e.Key == byTyped && !typed {
		p.waits(e)
		return
	}
	if e.Key == byFile && !create && !seen.Keys[e.Name] {
		p.seen.Refuse(p.b, name, e, "its key (keys/%s in the saved settings) is gone: restore a backup of the settings; without the key nobody can read it", e.Name)
		return
	}
	device := e.Device
	if c.Device.Path != "" {
		device = c.Device.Path
	}
	o := opening{layer: p.Layer, name: e.Name, device: device, key: e.Key, uuid: UUID(p.declared, e), create: create}
	s := plan.Step{
		Layer: p.Name(), Object: name, Action: plan.Create, Needs: c.Needs,
		Sentence: fmt.Sprintf("Open encrypted device %s (%s, key: %s)", e.Name, e.Device, e.Key),
		Do:       o.do, Undo: o.undo,
	}
	if create {
		s.Sentence = fmt.Sprintf("Encrypt %s as %s (key: %s) and open it", e.Device, e.Name, e.Key)
	}
	p.b.Add(s)
	offset := int64(headerSize)
	if h, known := seen.Headers[c.Device.Name]; known {
		offset = h.Offset
	}
	p.b.Comes(e.Path(), plan.Coming{Step: plan.StepID(plan.Create, name), Size: max(0, c.Size-offset)})
}
