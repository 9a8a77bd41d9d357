package lvm

import (
	"context"
	"fmt"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/host/block"
	"github.com/esos-project/esos/internal/host/lvm"
	"github.com/esos-project/esos/internal/plan"
)

// occupied says what Linux has a block device in use for; "" if for nothing.
func occupied(inv *block.Inventory, path string) string {
	d, ok := inv.Find(path)
	switch {
	case !ok:
		return ""
	case len(d.Mounts) > 0:
		return "it is mounted at " + d.Mounts[0]
	}
	for _, name := range d.Above {
		if above, ok := inv.Named(name); ok && above.Type != "part" {
			return fmt.Sprintf("%s (%s) stands on it", above.Friendly(), above.Type)
		}
	}
	return ""
}

// nearlyFull is when people are told that a pool is: at 100 % what lies in it
// takes no writes any more.
const nearlyFull = 80

// tellHealth tells what is wrong with a volume that serves.
func (p *groupPlan) tellHealth(object string, v config.Volume, have lvm.Volume) {
	switch have.Health {
	case "", "partial":
	case "refresh needed":
		p.b.Degraded(object, "a device of it failed for a while and is back; 'lvchange --refresh %s' has it used again", lvm.Full(p.g.Name, have.Name))
	case "mismatches exist":
		p.b.Degraded(object, "its copies differ in %d sectors, a check found", have.Mismatches)
	case "out_of_data":
		p.b.Degraded(object, "it is full: writes to its volumes fail; grow it")
	case "metadata_read_only", "failed":
		p.b.Degraded(object, "its metadata failed (%s): its volumes can be read at most; see lvmthin(7) on how to repair it", have.Health)
	default:
		p.b.Degraded(object, "LVM reports of it: %s", have.Health)
	}
	// Of a cache that column has something else.
	if inner, ok := p.inner(have); ok && inner.Synced != nil && *inner.Synced < 100 {
		p.b.Degraded(object, "its copies are being made the same: %.0f %% done; until then a disk that fails may take data with it", *inner.Synced)
	}
	switch v.Type {
	case config.ThinPool:
		p.tellFill(object, "data", have.Data, have.Size)
		p.tellFill(object, "metadata", have.Metadata, have.MetadataSize)
	case config.VDO:
		if pool, ok := p.volumes[have.Pool]; ok {
			p.tellFill(object, "physical", pool.Data, pool.Size)
			if pool.Operating != "" && pool.Operating != "normal" {
				p.b.Degraded(object, "its VDO is %s; see lvmvdo(7)", pool.Operating)
			}
		}
	}
}

func (p *groupPlan) tellFill(object, what string, full *float64, size int64) {
	if full != nil && *full >= nearlyFull {
		p.b.Degraded(object, "%.1f %% of its %s room of %s is used; at 100 %% what lies in it takes no writes: grow it, or delete something", *full, what, human(size))
	}
}

// planLayout tells of what a volume is otherwise that is fixed when it is made.
func (p *groupPlan) planLayout(object string, v config.Volume, inner lvm.Volume) {
	stripes, mirrors := shape(v)
	fixed := func(field string, declared, is int64, text func(int64) string) {
		if declared != 0 && is != 0 && declared != is {
			p.differ(object, v, field, "%s is %s, and declared as %s: that is fixed when a volume is made; declare what it is, or make another volume and copy what it holds",
				field, text(is), text(declared))
		}
	}
	number := func(n int64) string { return fmt.Sprint(n) }
	switch v.Type {
	case config.Striped, config.RAID5, config.RAID6, config.RAID10:
		if v.Stripes != 0 {
			fixed("stripes", int64(stripes), int64(inner.Stripes), number)
		}
		fixed("stripe_size", int64(v.StripeSize), inner.StripeSize, human)
	case config.ThinPool:
		fixed("chunk", int64(v.Chunk), inner.Chunk, human)
	}
	if (v.Type == config.RAID1 || v.Type == config.RAID10) && v.Mirrors != 0 {
		fixed("mirrors", int64(mirrors), int64(inner.Copies-1), number)
	}
}

// tellFrozen tells of changes that cannot be had while the group lacks devices.
func (p *groupPlan) tellFrozen(object string, v config.Volume, have lvm.Volume) {
	if int64(v.Size) > have.Size || v.ReadOnly != have.ReadOnly || (v.Cache != nil) != cached(have) {
		p.differ(object, v, "", "it is not as declared, and %s", p.frozen)
	}
}

// change adds a step that changes a setting, and can take it back.
func (p *groupPlan) change(object, verb, sentence string, v config.Volume, changes []config.FieldChange, do, undo func(ctx context.Context) error) plan.ID {
	id := plan.StepID(plan.Action(verb), object)
	p.b.Add(plan.Step{
		ID: id, Layer: p.Name(), Object: object, Action: plan.Change, Needs: p.needed(p.steps(object, v)...), Sentence: sentence, Changes: changes,
		Do:   func(ctx context.Context, _ plan.Report) error { return do(ctx) },
		Undo: undo,
	})
	return id
}

func (p *groupPlan) planReadOnly(object string, v config.Volume, have lvm.Volume) {
	if v.ReadOnly == have.ReadOnly || v.Type == config.ThinPool || v.Type == config.VDO {
		return
	}
	tool, group, name := p.tool, p.g.Name, have.Name
	set := func(ro bool) func(context.Context) error {
		return func(ctx context.Context) error {
			if is, err := p.look(ctx, name); err != nil || is.ReadOnly == ro {
				return err
			}
			if err := tool.SetReadOnly(ctx, group, name, ro); err != nil {
				return fmt.Errorf("set volume %s read-only %t: %w", lvm.Full(group, name), ro, err)
			}
			return nil
		}
	}
	what := "Have volume %s refuse writes"
	if !v.ReadOnly {
		what = "Have volume %s take writes"
	}
	p.change(object, "protect", fmt.Sprintf(what, lvm.Full(group, name)), v, []config.FieldChange{{Field: "read_only", Old: fmt.Sprint(have.ReadOnly), New: fmt.Sprint(v.ReadOnly)}},
		set(v.ReadOnly), set(have.ReadOnly))
}

// planPool grows a thin pool's metadata, and has a full pool answer errors.
func (p *groupPlan) planPool(object string, v config.Volume, have lvm.Volume) {
	if v.Type != config.ThinPool {
		return
	}
	tool, group, name := p.tool, p.g.Name, have.Name
	want := up(int64(v.Metadata), p.extent)
	switch {
	case v.Metadata == 0 || have.MetadataSize == want:
	case have.MetadataSize > want:
		if !p.unchanged(object, v, "metadata") {
			p.b.Problem(object, "its metadata does not shrink from %s to %s", human(have.MetadataSize), human(want))
		}
	case p.take(object, 2*(want-have.MetadataSize)): // and that of the spare one
		p.change(object, "extend-metadata", fmt.Sprintf("Grow the metadata of thin pool %s from %s to %s", lvm.Full(group, name), human(have.MetadataSize), human(want)), v,
			[]config.FieldChange{{Field: "metadata", Old: config.Size(have.MetadataSize).String(), New: config.Size(want).String()}},
			func(ctx context.Context) error {
				if is, err := p.look(ctx, name); err != nil || is.MetadataSize >= want {
					return err
				}
				if err := tool.ExtendMetadata(ctx, group, name, want); err != nil {
					return fmt.Errorf("grow the metadata of thin pool %s: %w", lvm.Full(group, name), err)
				}
				return nil
			}, keeps)
	}
	if have.WhenFull == "queue" {
		p.b.Note(object, "when it is full, writes to it wait for a minute before they fail; 'lvchange --errorwhenfull y %s' has them fail at once, as those of pools that ESOS makes", lvm.Full(group, name))
	}
}

// planVDO grows a VDO's physical room, and sets what it does with writes.
func (p *groupPlan) planVDO(object string, v config.Volume, have lvm.Volume) {
	if v.Type != config.VDO {
		return
	}
	pool, ok := p.volumes[have.Pool]
	if !ok {
		return
	}
	want := up(int64(v.Physical), p.extent)
	switch {
	case pool.Size < want:
		if p.take(object, want-pool.Size) {
			p.extend(object, v, pool.Name, pool.Size, want, "physical")
		}
	case pool.Size > want && !p.unchanged(object, v, "physical"):
		p.b.Problem(object, "the physical room of a VDO does not shrink from %s to %s", human(pool.Size), human(want))
	}
	deduplicate, compress := on(v.Deduplication), on(v.Compression)
	if pool.Deduplication == deduplicate && pool.Compression == compress {
		return
	}
	tool, group := p.tool, p.g.Name
	set := func(deduplicate, compress bool) func(context.Context) error {
		return func(ctx context.Context) error {
			is, err := p.look(ctx, pool.Name)
			if err != nil || is.Deduplication == deduplicate && is.Compression == compress {
				return err
			}
			if err := tool.SetVDO(ctx, group, pool.Name, deduplicate, compress); err != nil {
				return fmt.Errorf("set up VDO of volume %s: %w", lvm.Full(group, have.Name), err)
			}
			return nil
		}
	}
	var changes []config.FieldChange
	if pool.Deduplication != deduplicate {
		changes = append(changes, config.FieldChange{Field: "deduplication", Old: fmt.Sprint(pool.Deduplication), New: fmt.Sprint(deduplicate)})
	}
	if pool.Compression != compress {
		changes = append(changes, config.FieldChange{Field: "compression", Old: fmt.Sprint(pool.Compression), New: fmt.Sprint(compress)})
	}
	p.change(object, "vdo", fmt.Sprintf("Change what the VDO of volume %s does with writes from now on", lvm.Full(group, have.Name)), v, changes,
		set(deduplicate, compress), set(pool.Deduplication, pool.Compression))
}

func on(b *bool) bool { return b == nil || *b }
