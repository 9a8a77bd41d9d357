package encrypted

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/host/block"
	"github.com/esos-project/esos/internal/host/luks"
	"github.com/esos-project/esos/internal/layer"
	"github.com/esos-project/esos/internal/plan"
)

// others plans what is not declared, or not any more: it is closed if ESOS
// opened it, erased if it is named as given up, and else left alone.
func (p *planner) others() {
	inv := p.seen.Storage.Blocks
	if inv == nil {
		return
	}
	declared, known := map[string]bool{}, map[string]bool{}
	for _, e := range p.declared.Storage.Encrypted {
		declared[e.Name] = true
	}
	add := func(name string) {
		if !declared[name] && !known[name] {
			p.other(name)
		}
	}
	if p.seen.InForce != nil {
		for _, e := range p.seen.InForce.Storage.Encrypted {
			if onVolume(p.seen.InForce, e) == p.OnVolumes {
				add(e.Name)
			}
			known[e.Name] = true
		}
	}
	if p.OnVolumes {
		return // the rest is the other one's
	}
	for _, named := range p.seen.Destroy {
		name, ok := strings.CutPrefix(named, "encrypted/")
		if ok && declared[name] {
			p.b.Note(named, "it is declared, and so it is not erased; take it out of the document to erase it")
		} else if ok {
			add(name)
		}
	}
	for _, d := range inv.Devices() {
		if d.Type != "crypt" {
			continue
		}
		if name, ok := strings.CutPrefix(d.Path, "/dev/mapper/"); ok && !declared[name] && !known[name] {
			p.b.Note(object(name), "%s is open and not declared; it is left alone", d.Path)
		}
	}
}

// other plans one that is not declared.
func (p *planner) other(name string) {
	inv := p.seen.Storage.Blocks
	before, was := p.before(name)
	id := config.DerivedUUID(p.declared.ID, object(name))
	if was {
		id = UUID(p.declared, before)
	}
	path := config.Encrypted{Name: name}.Path()
	open, isOpen := inv.Find(path)
	var on block.Device
	var there bool
	if isOpen {
		on, there = backing(inv, open)
		there = there && strings.EqualFold(on.UUID, id)
		isOpen = there // else it is another's
	} else {
		on, there = p.elsewhere(id)
	}
	named := slices.Contains(p.seen.Destroy, object(name))
	if !there {
		if named && !was {
			p.b.Problem(object(name), "there is no such encrypted device on this machine")
		}
		return
	}
	if stays := layer.Standing(p.declared, path); len(stays) > 0 && (was || named) {
		p.b.Problem(object(name), "%s is on it; delete that first, or keep the encrypted device", strings.Join(stays, ", "))
		return
	}
	switch {
	case named:
		p.erase(name, on, isOpen, open)
	case isOpen && was:
		p.close(name, on)
	}
}

func (p *planner) elsewhere(uuid string) (block.Device, bool) {
	for _, d := range p.seen.Storage.Blocks.Devices() {
		if d.Signature == luks.Type && strings.EqualFold(d.UUID, uuid) {
			return d, true
		}
	}
	return block.Device{}, false
}

// above are the steps that take away what stands on one.
func (p *planner) above(name string) []plan.ID {
	var ids []plan.ID
	for _, up := range layer.Standing(p.seen.InForce, config.Encrypted{Name: name}.Path()) {
		ids = append(ids, plan.StepID(plan.Delete, up))
	}
	return ids
}

// close plans to close one, whose data stay.
func (p *planner) close(name string, on block.Device) {
	p.b.Note(object(name), "what it holds stays on %s, encrypted, and its key where that is; name --destroy %s to erase it, or declare it again to use it", on.Friendly(), object(name))
	p.b.Add(plan.Step{
		Layer: p.Name(), Object: object(name), Action: plan.Delete, Phase: plan.Clear, Needs: p.above(name),
		Sentence: fmt.Sprintf("Close encrypted device %s on %s", name, on.Friendly()),
		Do:       func(ctx context.Context, _ plan.Report) error { return closeIfOpen(ctx, p.Machine, name) },
		Undo: func(ctx context.Context) error {
			before, was := p.before(name)
			if !was {
				return nil
			}
			o := opening{layer: p.Layer, name: name, device: on.Path, key: before.Key, uuid: UUID(p.declared, before)}
			return o.do(ctx, nil)
		},
	})
}

func closeIfOpen(ctx context.Context, m Machine, name string) error {
	if m.Real(config.Encrypted{Name: name}.Path()) == "" {
		return nil
	}
	return luks.Close(ctx, m, name)
}

// erase plans to delete one with all that it holds.
func (p *planner) erase(name string, on block.Device, isOpen bool, open block.Device) {
	id := plan.StepID(plan.Delete, object(name))
	lost := fmt.Sprintf("all of it (%s) is lost for good: its keys are erased, which no repair brings back; only a copy of its header would open it", config.Size(on.Size).Human())
	if isOpen {
		lost = fmt.Sprintf("all of it (%s) is lost for good: its keys are erased, which no repair brings back; only a copy of its header would open it", config.Size(open.Size).Human())
	}
	path := on.Path
	p.b.Add(plan.Step{
		ID: id, Layer: p.Name(), Object: object(name), Action: plan.Delete, Phase: plan.Clear, Needs: p.above(name),
		Sentence: fmt.Sprintf("Erase encrypted device %s on %s", name, on.Friendly()),
		Destroys: lost,
		Do: func(ctx context.Context, _ plan.Report) error {
			if err := closeIfOpen(ctx, p.Machine, name); err != nil {
				return err
			}
			found, err := block.Contents(ctx, p.Machine, path)
			if err != nil {
				return err
			}
			if slices.ContainsFunc(found, func(c block.Content) bool { return c.Type == luks.Type }) {
				if err := luks.Erase(ctx, p.Machine, path); err != nil {
					return err
				}
			}
			if err := block.WipeAt(ctx, p.Machine, path); err != nil {
				return err
			}
			// Last: until then it is the only way back.
			return errors.Join(p.Machine.Delete(p.keyFile(name)), p.Machine.Delete(p.unseenFile(name)))
		},
	})
	p.b.Frees(on.Name, id)
}

// takeBack wipes a device that a step encrypted.
func takeBack(ctx context.Context, m Machine, device string) error {
	inv, err := block.Read(ctx, m)
	if err != nil {
		return err
	}
	d, ok := inv.Find(device)
	if !ok {
		return fmt.Errorf("take what is encrypted on %s away: the device is not there", device)
	}
	return block.Wipe(ctx, m, d)
}
