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
	"github.com/esos-project/esos/internal/layer/disk"
	"github.com/esos-project/esos/internal/plan"
)

// absent plans a group that LVM does not see: it is made, unless it was there
// before. Then its devices may be about to come: with them, or not at all.
func (p *groupPlan) absent() {
	claims := p.claims(p.g.Devices)
	if _, before := p.seen.Before(p.object); before || p.g.UUID != "" {
		p.late(claims)
		return
	}
	p.free = 0
	for _, c := range claims {
		switch {
		case c.Missing != "":
			p.refuse("%s", c.Missing)
			return
		case c.Refused != "":
			p.refuse("%s", c.Refused)
			return
		case c.Size == 0 || p.free < 0:
			p.free = -1
		default:
			p.free += (c.Size - 1<<20) / p.extent * p.extent
		}
	}
	id := plan.StepID(plan.Create, p.object)
	step := plan.Step{
		ID: id, Layer: p.Name(), Object: p.object, Action: plan.Create,
		Sentence: fmt.Sprintf("Create volume group %s on %s", p.g.Name, list(p.g.Devices)),
	}
	for _, c := range claims {
		step.Needs = append(step.Needs, disk.Wipe(p.Machine, c, p.b)...)
	}
	tool, name, tag, extent, devices := p.tool, p.g.Name, p.tag(), p.extent, p.g.Devices
	made := false
	step.Do = func(ctx context.Context, _ plan.Report) error {
		g, there, err := tool.Group(ctx, name)
		if err != nil {
			return err
		}
		if there && lvm.Has(g.Tags, tag) {
			return nil
		}
		made = true
		if err := tool.CreateGroup(ctx, name, extent, tag, devices); err != nil {
			return fmt.Errorf("create volume group %s: %w", name, err)
		}
		return block.Settle(ctx, p.Machine)
	}
	step.Undo = func(ctx context.Context) error {
		if !made {
			return nil
		}
		g, there, err := tool.Group(ctx, name)
		if err != nil {
			return err
		}
		if there && lvm.Has(g.Tags, tag) {
			if err := tool.RemoveGroup(ctx, name); err != nil {
				return fmt.Errorf("remove volume group %s again: %w", name, err)
			}
		}
		return p.unlabel(ctx, devices)
	}
	p.b.Add(step)
	p.needs = []plan.ID{id}
	p.planVolumes()
}

// unlabel takes LVM's label off those devices that have one and no group.
func (p *groupPlan) unlabel(ctx context.Context, devices []string) error {
	s, err := p.tool.Read(ctx)
	if err != nil {
		return err
	}
	var spare []string
	for _, d := range devices {
		real := p.Machine.Real(d)
		if slices.ContainsFunc(s.Spare, func(pv lvm.Device) bool { return real != "" && p.Machine.Real(pv.Path) == real }) {
			spare = append(spare, d)
		}
	}
	if len(spare) == 0 {
		return nil
	}
	if err := p.tool.RemoveDevices(ctx, spare); err != nil {
		return fmt.Errorf("give %s back: %w", list(spare), err)
	}
	// pvremove leaves copies of LVM's metadata behind, which would count as data.
	for _, d := range spare {
		if err := block.WipeAt(ctx, p.Machine, d); err != nil {
			return fmt.Errorf("give %s back: %w", list(spare), err)
		}
	}
	return nil
}

// late plans a group that is declared already and that LVM does not see. If a
// step brings a device of it, an array that is assembled, its volumes are
// activated then. It is never made anew: its disks may be back tomorrow.
func (p *groupPlan) late(claims []layer.Claim) {
	var needs []plan.ID
	var lacks []string
	for _, c := range claims {
		if _, coming := p.b.Coming(c.Path); coming {
			needs = append(needs, c.Needs...)
		} else if c.Missing != "" {
			lacks = append(lacks, c.Missing)
		}
	}
	if len(needs) == 0 {
		if len(lacks) == 0 {
			p.refuse("no volume group of this name, made from this document, is on %s; what is there instead is not touched. Give it up by taking the group out of the document", list(p.g.Devices))
			return
		}
		p.refuse("%s; it is served again when its disks are back", list(lacks))
		return
	}
	p.up = &batch{plan: p}
	for _, v := range p.g.Volumes {
		object := config.VolumeObject(p.g.Name, v.Name)
		if _, before := p.seen.Before(object); !before && p.g.UUID == "" {
			p.b.Block(object, "its volume group %s is not there yet; it is made when that is", p.g.Name)
			continue
		}
		if v.Type == config.ThinPool {
			continue
		}
		p.activate(v, lvm.Volume{Name: v.Name, Size: int64(v.Size)}, needs)
	}
}

// claims claims devices, each once.
func (p *groupPlan) claims(devices []string) []layer.Claim {
	claims := make([]layer.Claim, 0, len(devices))
	for _, d := range devices {
		claims = append(claims, p.seen.Claim(p.declared, p.b, d))
	}
	return claims
}

// list puts paths into words.
func list(paths []string) string {
	const most = 4
	if len(paths) > most {
		return fmt.Sprintf("%s and %d more", strings.Join(paths[:most], ", "), len(paths)-most)
	}
	text := ""
	for i, p := range paths {
		switch {
		case i > 0 && i == len(paths)-1:
			text += " and "
		case i > 0:
			text += ", "
		}
		text += p
	}
	return text
}
