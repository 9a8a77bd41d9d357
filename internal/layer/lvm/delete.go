package lvm

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/host/block"
	"github.com/esos-project/esos/internal/host/lvm"
	"github.com/esos-project/esos/internal/layer"
	"github.com/esos-project/esos/internal/plan"
)

// planUndeclared leaves volumes of the group that nobody declares alone, and
// deletes those that are named as given up.
func (p *groupPlan) planUndeclared() {
	declared := map[string]bool{}
	for _, v := range p.g.Volumes {
		declared[v.Name], declared[v.Was] = true, true
	}
	d := &deleting{Layer: p.Layer, tool: p.tool, declared: p.declared, seen: p.seen, b: p.b, group: p.found}
	for _, v := range visible(p.found) {
		switch object := config.VolumeObject(p.g.Name, v.Name); {
		case declared[v.Name]:
		case slices.Contains(p.seen.Destroy, object):
			d.volume(v)
		case lvm.Has(v.Tags, Snapshot) || lvm.Has(v.Tags, fastPart):
		default:
			p.b.Note(object, "%s is not declared: it stays as it is; --destroy %s deletes it", describe(v), object)
		}
	}
}

// planOthers leaves groups that nobody declares alone, and deletes those that
// are named as given up, and volumes of them.
func (l Layer) planOthers(declared *config.Document, seen *layer.Observed, b *plan.Builder, ours map[string]bool) {
	if err := seen.Storage.LVM.Err; err != nil {
		for _, name := range seen.Destroy {
			if strings.HasPrefix(name, "volume/") || strings.HasPrefix(name, "volume-group/") {
				b.Problem(name, "it cannot be deleted now: %v", err)
			}
		}
	}
	for _, g := range seen.Storage.LVM.Groups {
		if ours[g.UUID] {
			continue
		}
		d := &deleting{Layer: l, tool: l.tool(), declared: declared, seen: seen, b: b, group: g}
		if slices.Contains(seen.Destroy, object(g.Name)) {
			d.all()
			continue
		}
		for _, v := range visible(g) {
			if slices.Contains(seen.Destroy, config.VolumeObject(g.Name, v.Name)) {
				d.volume(v)
			}
		}
		if !slices.ContainsFunc(declared.Storage.VolumeGroups, func(own config.VolumeGroup) bool { return own.Name == g.Name }) {
			b.Note(object(g.Name), "volume group %s on %s, with %s, is not declared: it is left alone", g.Name, paths(&g), volumes(visible(g)))
		}
	}
}

// deleting is the deletion of what is named, of one group.
type deleting struct {
	Layer
	tool     lvm.Tool
	declared *config.Document
	seen     *layer.Observed
	b        *plan.Builder
	group    lvm.Group
	planned  []plan.ID
}

// describe puts a volume into words.
func describe(v lvm.Volume) string {
	what := string(kind(v)) + " volume"
	switch kind(v) {
	case config.ThinPool:
		what = "thin pool"
	case config.VDO:
		what = "VDO volume"
	}
	text := fmt.Sprintf("%s %s of %s", what, v.Name, human(v.Size))
	if v.Data != nil && (v.Type == "thin" || v.Type == "thin-pool") {
		text += fmt.Sprintf(" with %s of data", human(int64(float64(v.Size)**v.Data/100)))
	}
	return text
}

// volume plans to delete a volume, once what stands on it is gone.
func (d *deleting) volume(v lvm.Volume) {
	object := config.VolumeObject(d.group.Name, v.Name)
	needs, why := d.above(config.Volume{Name: v.Name}.Path(d.group.Name))
	if why != "" {
		d.b.Problem(object, "it is not deleted while %s", why)
		return
	}
	var snapshots []string
	if v.Type == "thin-pool" {
		for _, w := range visible(d.group) {
			in := config.VolumeObject(d.group.Name, w.Name)
			switch {
			case w.Pool != v.Name || w.Type != "thin":
			case slices.Contains(d.seen.Destroy, in):
				needs = append(needs, plan.StepID(plan.Delete, in))
			case lvm.Has(w.Tags, Snapshot):
				snapshots = append(snapshots, w.Name)
			default:
				d.b.Problem(object, "it is not deleted while %s lies in it; take that out of the document and name it, too: --destroy %s", describe(w), in)
				return
			}
		}
	}
	destroys := describe(v) + " is lost"
	if len(snapshots) > 0 {
		destroys = fmt.Sprintf("%s is lost, and %s in it", describe(v), plural(len(snapshots), "snapshot"))
	}
	id := plan.StepID(plan.Delete, object)
	tool, group, uuid := d.tool, d.group.Name, v.UUID
	d.b.Add(plan.Step{
		ID: id, Layer: d.Name(), Object: object, Action: plan.Delete, Phase: plan.Clear, Needs: needs,
		Sentence: fmt.Sprintf("Delete volume %s", lvm.Full(group, v.Name)), Destroys: destroys,
		Do: func(ctx context.Context, _ plan.Report) error {
			g, _, err := tool.Group(ctx, group)
			if err != nil {
				return err
			}
			is, there := g.Volume(v.Name)
			if !there || is.UUID != uuid { // deleted already, and perhaps another one of that name since
				return nil
			}
			for _, s := range snapshots {
				if _, still := g.Volume(s); !still {
					continue
				}
				if err := tool.RemoveVolume(ctx, group, s); err != nil {
					return fmt.Errorf("delete snapshot %s: %w", lvm.Full(group, s), err)
				}
			}
			if err := tool.RemoveVolume(ctx, group, v.Name); err != nil {
				return fmt.Errorf("delete volume %s: %w", lvm.Full(group, v.Name), err)
			}
			return nil
		},
	})
	d.planned = append(d.planned, id)
}

// all plans to delete a group: only with all its volumes named.
func (d *deleting) all() {
	g := d.group
	if why := d.wanted(); why != "" {
		d.b.Problem(object(g.Name), "it is not deleted while %s", why)
		return
	}
	pools := map[string]bool{}
	for _, v := range visible(g) {
		if v.Type == "thin-pool" && slices.Contains(d.seen.Destroy, config.VolumeObject(g.Name, v.Name)) {
			pools[v.Name] = true
		}
	}
	var unnamed []string
	for _, v := range visible(g) {
		in := config.VolumeObject(g.Name, v.Name)
		switch {
		case slices.Contains(d.seen.Destroy, in):
			before := len(d.planned)
			d.volume(v)
			if len(d.planned) == before {
				return // refused
			}
		case lvm.Has(v.Tags, Snapshot) && pools[v.Pool]:
		default:
			unnamed = append(unnamed, in)
		}
	}
	if len(unnamed) > 0 {
		d.b.Problem(object(g.Name), "it is not deleted with %s in it; name them, too: --destroy %s", plural(len(unnamed), "volume"), strings.Join(unnamed, ","))
		return
	}
	id := plan.StepID(plan.Delete, object(g.Name))
	tool, name, uuid, layer := d.tool, g.Name, g.UUID, &groupPlan{Layer: d.Layer, tool: d.tool}
	var devices []string
	for _, pv := range g.Devices {
		if !pv.Missing {
			devices = append(devices, pv.Path)
		}
	}
	d.b.Add(plan.Step{
		ID: id, Layer: d.Name(), Object: object(g.Name), Action: plan.Delete, Phase: plan.Clear, Needs: d.planned,
		Sentence: fmt.Sprintf("Delete volume group %s", name), Destroys: fmt.Sprintf("volume group %s of %s on %s is lost", name, human(g.Size), list(devices)),
		Do: func(ctx context.Context, _ plan.Report) error {
			is, there, err := tool.Group(ctx, name)
			if err != nil {
				return err
			}
			if there && is.UUID == uuid {
				if err := tool.RemoveGroup(ctx, name); err != nil {
					return fmt.Errorf("delete volume group %s: %w", name, err)
				}
			}
			return layer.unlabel(ctx, devices)
		},
	})
	for _, path := range devices {
		if b, ok := d.seen.Storage.Blocks.Find(path); ok {
			d.b.Frees(b.Name, id)
		}
	}
}

// wanted says which of the group's volumes somebody declares a use of.
func (d *deleting) wanted() string {
	for _, used := range append(d.declared.Storage.Uses(), served(d.declared)...) {
		if rest, ok := strings.CutPrefix(used, "/dev/"+d.group.Name+"/"); ok {
			return fmt.Sprintf("the document uses its volume %s", rest)
		}
	}
	return ""
}

func served(doc *config.Document) []string {
	var paths []string
	for _, dev := range doc.Devices {
		if dev.Handler == config.BlockIO {
			paths = append(paths, dev.Path)
		}
	}
	return paths
}

// above finds the deletions of what stands on a volume, or says what does and
// is not given up.
func (d *deleting) above(path string) (needs []plan.ID, why string) {
	for _, dev := range d.declared.Devices {
		if dev.Path == path {
			return nil, fmt.Sprintf("device %s is served from it", dev.Name)
		}
	}
	if slices.Contains(d.declared.Storage.Uses(), path) {
		return nil, "the document uses it"
	}
	inv := d.seen.Storage.Blocks
	is, ok := inv.Find(path)
	if !ok {
		return nil, ""
	}
	if object := d.seen.Keeps(d.declared, is); object != "" {
		if !slices.Contains(d.seen.Destroy, object) {
			return nil, fmt.Sprintf("it holds what %s has; name that, too: --destroy %s", object, object)
		}
		needs = append(needs, plan.StepID(plan.Delete, object))
	}
	for _, m := range is.Mounts {
		name, ours := strings.CutPrefix(m, config.MountDir+"/")
		if object := "filesystem/" + name; ours && slices.Contains(d.seen.Destroy, object) {
			needs = append(needs, plan.StepID(plan.Delete, object))
			continue
		}
		return nil, fmt.Sprintf("it is mounted at %s", m)
	}
	for _, name := range is.Above {
		up, ok := inv.Named(name)
		if !ok || up.Type == "part" {
			continue
		}
		object := d.given(inv, up)
		if object == "" {
			return nil, fmt.Sprintf("%s (%s) stands on it", up.Friendly(), up.Type)
		}
		needs = append(needs, plan.StepID(plan.Delete, object))
	}
	return needs, ""
}

// given is the object that a block device is, of those that are given up.
func (d *deleting) given(inv *block.Inventory, dev block.Device) string {
	for _, object := range d.seen.Destroy {
		what, rest, _ := strings.Cut(object, "/")
		prefix := map[string]string{"array": "/dev/md/", "encrypted": "/dev/mapper/", "volume": "/dev/"}[what]
		if prefix == "" {
			continue
		}
		if is, ok := inv.Find(prefix + rest); ok && is.Name == dev.Name {
			return object
		}
	}
	return ""
}
