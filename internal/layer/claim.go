package layer

import (
	"fmt"
	"strings"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/host/block"
	"github.com/esos-project/esos/internal/plan"
)

// Claim is what stands between a block device and an object that wants to be
// made on it. At most one of Missing and Refused is
// said.
type Claim struct {
	Path   string       // as declared
	Object string       // the device's name in --destroy: disk/virtio-data01, volume/vg0/db01
	Device block.Device // what it is; empty if it is yet to be made
	Size   int64        // bytes; 0 if that is not known before it is made
	// Missing says why the device cannot be had now: it is not there. It may be
	// back later.
	Missing string
	// Refused says why the device must not be had, whatever is named.
	Refused string
	// Loses says what is on it, "" if it is blank.
	Loses string
	// Needs are the steps that make it or free it.
	Needs []plan.ID
}

// Claim finds out whether a block device can be made part of an object, and
// what would be lost. An object never claims what is its part already: whoever
// calls looked at that before.
func (o *Observed) Claim(declared *config.Document, b *plan.Builder, path string) Claim {
	c := Claim{Path: path, Object: declared.Storage.Provider(path)}
	if c.Object != "" && b.Blocked(c.Object) {
		c.Missing = fmt.Sprintf("%s cannot be had (%s)", path, c.Object)
		return c
	}
	if coming, ok := b.Coming(path); ok {
		c.Needs, c.Size = []plan.ID{coming.Step}, coming.Size
	}
	inv := o.Storage.Blocks
	if inv == nil {
		c.Missing = fmt.Sprintf("the block devices could not be looked at: %v", o.Storage.Err)
		return c
	}
	d, there := inv.Find(path)
	if c.Object == "" {
		c.Object = config.DiskObject(path)
	}
	if !there {
		if len(c.Needs) == 0 {
			c.Missing = path + " is not there"
		}
		return c
	}
	c.Device = d
	if c.Size == 0 {
		c.Size = d.Size
	}
	if c.Refused = o.usedBeside(declared, d, path); c.Refused != "" {
		return c
	}
	if step, freed := b.Freed(d.Name); freed {
		c.Needs = append(c.Needs, step)
		return c
	}
	if c.Refused = o.Refuses(d); c.Refused != "" {
		return c
	}
	group, declaredGroup, isMember := o.member(declared, d.Name)
	if declaredGroup { // even one that is not active now
		c.Refused = fmt.Sprintf("%s is a device of volume group %s, which the document has; take it out of that first, which empties it", path, group.Name)
		return c
	}
	contents, looked := o.Storage.Contents[d.Name]
	if !looked {
		c.Refused = fmt.Sprintf("what is on %s could not be read", path)
		if err := o.Storage.Unread[d.Name]; err != nil {
			c.Refused = fmt.Sprintf("%s cannot be taken: %v", path, err)
		}
		return c
	}
	var losses []string
	for _, found := range contents {
		losses = append(losses, found.String())
	}
	if isMember {
		losses = append(losses, holding(group))
	}
	for _, name := range d.Above { // partitions: anything else refuses it
		if p, ok := inv.Named(name); ok {
			losses = append(losses, partition(p))
		}
	}
	if len(losses) > 0 {
		c.Loses = fmt.Sprintf("%s (%s) holds %s; all of that is lost", path, Describe(d), strings.Join(losses, ", "))
	}
	return c
}

func partition(p block.Device) string {
	text := "partition " + p.Name + " of " + config.Size(p.Size).Human()
	if p.Signature != "" {
		text += " with " + block.Content{Type: p.Signature, Label: p.Label}.String()
	}
	return text
}

// Describe puts a device into words: model, serial number and size.
func Describe(d block.Device) string {
	parts := []string{}
	for _, p := range []string{d.Model, d.Serial} {
		if p != "" {
			parts = append(parts, p)
		}
	}
	return strings.Join(append(parts, config.Size(d.Size).Human()), ", ")
}

// WipeID is the step that wipes what is claimed.
func (c Claim) WipeID() plan.ID { return plan.StepID("wipe", c.Object) }
