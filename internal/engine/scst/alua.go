package scst

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/host/kernfs/words"
)

// groupWords are device groups as they were put, by name.
const groupWords = "groups"

const deviceGroups = "device_groups"

// states are the access states that SCST has (scst_alua_str_to_state).
func states() []string {
	return []string{"active", "nonoptimized", "standby", "unavailable", "offline", "transitioning"}
}

// PutDeviceGroup implements engine.Engine. Devices and targets that are not
// there yet join when they are made: SCST would take the name of a target that
// is not there for one of the peer.
func (e *Engine) PutDeviceGroup(ctx context.Context, g config.DeviceGroup) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := e.putDeviceGroup(ctx, g); err != nil {
		return fmt.Errorf("put device group %s: %w", g.Name, err)
	}
	return nil
}

func (e *Engine) putDeviceGroup(ctx context.Context, g config.DeviceGroup) error {
	if err := deviceGroupProblems(g).join(); err != nil {
		return err
	}
	if err := e.words.Put(groupWords, g.Name, g); err != nil {
		return err
	}
	at := path.Join(deviceGroups, g.Name)
	if err := e.create(ctx, deviceGroups, g.Name); err != nil {
		return err
	}
	if err := e.dropTargetGroups(ctx, g); err != nil {
		return err
	}
	for _, tg := range g.TargetGroups {
		if err := e.putTargetGroup(ctx, g, tg.WithDefaults()); err != nil {
			return fmt.Errorf("target group %s: %w", tg.Name, err)
		}
	}
	want := make([]string, len(g.Devices))
	for i, name := range g.Devices {
		var err error
		if want[i], err = e.kernelName(name); err != nil {
			return err
		}
	}
	have, err := e.k.list(path.Join(at, "devices"))
	if err != nil {
		return err
	}
	for _, name := range have {
		if !slices.Contains(want, name) {
			if err := e.k.write(ctx, path.Join(at, "devices/mgmt"), "del "+name); err != nil {
				return fmt.Errorf("device %s: %w", name, err)
			}
		}
	}
	for _, name := range want {
		if err := e.joinDevice(ctx, g.Name, name); err != nil {
			return fmt.Errorf("device %s: %w", name, err)
		}
	}
	return nil
}

// create makes a device group or target group, if it is not there.
func (e *Engine) create(ctx context.Context, in, name string) error {
	there, err := e.k.exists(path.Join(in, name))
	if err != nil || there {
		return err
	}
	return e.k.write(ctx, path.Join(in, "mgmt"), "create "+name)
}

// dropTargetGroups drops target groups that are not wanted, and those whose
// identifier another one gets.
func (e *Engine) dropTargetGroups(ctx context.Context, g config.DeviceGroup) error {
	in := path.Join(deviceGroups, g.Name, "target_groups")
	have, err := e.k.list(in)
	if err != nil {
		return err
	}
	for _, name := range have {
		if slices.ContainsFunc(g.TargetGroups, func(tg config.TargetGroup) bool { return tg.Name == name }) {
			continue
		}
		if err := e.k.write(ctx, path.Join(in, "mgmt"), "del "+name); err != nil {
			return fmt.Errorf("target group %s: %w", name, err)
		}
	}
	return nil
}

func (e *Engine) putTargetGroup(ctx context.Context, g config.DeviceGroup, tg config.TargetGroup) error {
	in := path.Join(deviceGroups, g.Name, "target_groups")
	at := path.Join(in, tg.Name)
	if err := e.create(ctx, in, tg.Name); err != nil {
		return err
	}
	for _, s := range []setting{{"group_id", strconv.Itoa(tg.ID)}, {"preferred", digit(tg.Preferred)}} {
		if err := e.k.set(ctx, path.Join(at, s.file), s.value); err != nil {
			return err
		}
	}
	have, err := e.members(ctx, at)
	if err != nil {
		return err
	}
	for _, m := range have {
		if !slices.Contains(tg.Targets, m.GroupTarget) {
			if err := e.k.write(ctx, path.Join(at, "mgmt"), "del "+m.label); err != nil {
				return fmt.Errorf("target %s: %w", m.Name, err)
			}
		}
	}
	for _, t := range tg.Targets {
		if slices.ContainsFunc(have, func(m member) bool { return m.GroupTarget == t }) {
			continue
		}
		if err := e.addMember(ctx, g, at, t); err != nil {
			return fmt.Errorf("target %s: %w", t.Name, err)
		}
	}
	return e.k.set(ctx, path.Join(at, "state"), tg.State)
}

// member is a target in a target group. A target of this machine is a link in
// SCST, one of the peer a directory.
type member struct {
	config.GroupTarget
	label string // its name in the group
}

// members reads the targets of a target group.
func (e *Engine) members(ctx context.Context, at string) ([]member, error) {
	names, err := e.k.list(at)
	if err != nil {
		return nil, err
	}
	var out []member
	for _, name := range names {
		switch name {
		case "group_id", "preferred", "state":
			continue
		}
		if _, err := e.k.Readlink(path.Join(at, name)); err == nil {
			out = append(out, member{config.GroupTarget{Name: name}, name})
			continue
		}
		text, there, err := e.k.optional(ctx, path.Join(at, name, "rel_tgt_id"))
		if isNoDirectory(err) || err == nil && !there {
			continue // an attribute that we do not know
		}
		if err != nil {
			return nil, err
		}
		id, err := strconv.Atoi(text)
		if err != nil {
			return nil, fmt.Errorf("read the identifier of target %s: %q is no number", name, text)
		}
		out = append(out, member{config.GroupTarget{Name: strings.TrimSuffix(name, peerMark+text), RelativeID: id}, name})
	}
	return out, nil
}

// peerMark is between the name of a peer's target and its identifier, where
// the name alone is one of this machine: SCST has a name once in a device
// group, and takes one of its own targets for itself.
const peerMark = "#"

func (e *Engine) addMember(ctx context.Context, g config.DeviceGroup, at string, t config.GroupTarget) error {
	_, local, err := e.locate(t.Name)
	if err != nil {
		return err
	}
	if t.RelativeID == 0 {
		if !local {
			return nil // it joins when it is made
		}
		return e.k.write(ctx, path.Join(at, "mgmt"), "add "+t.Name)
	}
	label := t.Name
	for _, other := range g.TargetGroups {
		for _, o := range other.Targets {
			if o.Name == t.Name && o.RelativeID != t.RelativeID {
				local = true
			}
		}
	}
	if local {
		label += peerMark + strconv.Itoa(t.RelativeID)
	}
	there, err := e.k.exists(path.Join(at, label))
	if err != nil {
		return err
	}
	if !there { // it is, without its identifier, if a change was cut off
		if err := e.k.write(ctx, path.Join(at, "mgmt"), "add "+label); err != nil {
			return err
		}
	}
	return e.k.set(ctx, path.Join(at, label, "rel_tgt_id"), strconv.Itoa(t.RelativeID))
}

// joinDevice puts a device into its group, if it is there.
func (e *Engine) joinDevice(ctx context.Context, group, device string) error {
	if _, err := e.k.Readlink(path.Join(deviceGroups, group, "devices", device)); err == nil || !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if there, err := e.k.exists(path.Join("devices", device)); err != nil || !there {
		return err
	}
	return e.k.write(ctx, path.Join(deviceGroups, group, "devices/mgmt"), "add "+device)
}

// joinGroups lets a device that was made join its group.
func (e *Engine) joinGroups(ctx context.Context, name string) error {
	groups, err := words.All[config.DeviceGroup](e.words, groupWords)
	if err != nil {
		return err
	}
	for _, g := range groups {
		if !slices.Contains(g.Devices, name) {
			continue
		}
		inKernel, err := e.kernelName(name)
		if err != nil {
			return err
		}
		there, err := e.k.exists(path.Join(deviceGroups, g.Name))
		if err != nil || !there {
			return err
		}
		return e.joinDevice(ctx, g.Name, inKernel)
	}
	return nil
}

// joinTarget lets a target that was made join its target groups.
func (e *Engine) joinTarget(ctx context.Context, name string) error {
	groups, err := words.All[config.DeviceGroup](e.words, groupWords)
	if err != nil {
		return err
	}
	for _, g := range groups {
		for _, tg := range g.TargetGroups {
			if !slices.Contains(tg.Targets, config.GroupTarget{Name: name}) {
				continue
			}
			at := path.Join(deviceGroups, g.Name, "target_groups", tg.Name)
			there, err := e.k.exists(at)
			if err != nil {
				return err
			}
			if !there {
				continue
			}
			have, err := e.members(ctx, at)
			if err != nil {
				return err
			}
			if slices.ContainsFunc(have, func(m member) bool { return m.GroupTarget == config.GroupTarget{Name: name} }) {
				continue
			}
			if err := e.k.write(ctx, path.Join(at, "mgmt"), "add "+name); err != nil {
				return fmt.Errorf("join target group %s of device group %s: %w", tg.Name, g.Name, err)
			}
		}
	}
	return nil
}

// DeleteDeviceGroup implements engine.Engine.
func (e *Engine) DeleteDeviceGroup(ctx context.Context, name string) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := e.dropDeviceGroup(ctx, name); err != nil {
		return fmt.Errorf("delete device group %s: %w", name, err)
	}
	return nil
}

func (e *Engine) dropDeviceGroup(ctx context.Context, name string) error {
	there, err := e.k.exists(path.Join(deviceGroups, name))
	if err != nil {
		return err
	}
	if there {
		if err := e.k.write(ctx, path.Join(deviceGroups, "mgmt"), "del "+name); err != nil {
			return err
		}
	}
	return e.words.Remove(groupWords, name)
}

// observeDeviceGroups reads them in the order of their words.
func (e *Engine) observeDeviceGroups(ctx context.Context) ([]config.DeviceGroup, error) {
	names, err := e.k.list(deviceGroups)
	if err != nil {
		return nil, err
	}
	var out []config.DeviceGroup
	for _, name := range names {
		at := path.Join(deviceGroups, name)
		g, said := config.DeviceGroup{Name: name}, config.DeviceGroup{}
		if _, err := e.words.Get(groupWords, name, &said); err != nil {
			return nil, err
		}
		devices, err := e.k.list(path.Join(at, "devices"))
		if err != nil {
			return nil, err
		}
		for _, d := range devices {
			ours, err := e.nameOf(d)
			if err != nil {
				return nil, err
			}
			g.Devices = append(g.Devices, ours)
		}
		sortAs(g.Devices, said.Devices, func(s string) string { return s })
		groups, err := e.k.list(path.Join(at, "target_groups"))
		if err != nil {
			return nil, err
		}
		var order []string
		for _, tg := range said.TargetGroups {
			order = append(order, tg.Name)
		}
		for _, tg := range groups {
			var was config.TargetGroup
			for _, s := range said.TargetGroups {
				if s.Name == tg {
					was = s
				}
			}
			now, err := e.observeTargetGroup(ctx, path.Join(at, "target_groups", tg), was)
			if err != nil {
				return nil, err
			}
			g.TargetGroups = append(g.TargetGroups, now)
		}
		sortAs(g.TargetGroups, order, func(tg config.TargetGroup) string { return tg.Name })
		out = append(out, g)
	}
	return out, nil
}

func (e *Engine) observeTargetGroup(ctx context.Context, at string, said config.TargetGroup) (config.TargetGroup, error) {
	r := reader{ctx: ctx, k: e.k, at: at}
	tg := config.TargetGroup{Name: path.Base(at), ID: int(r.number("group_id")), State: r.text("state"), Preferred: r.is("preferred")}
	if r.err != nil {
		return tg, r.err
	}
	have, err := e.members(ctx, at)
	if err != nil {
		return tg, err
	}
	for _, m := range have {
		tg.Targets = append(tg.Targets, m.GroupTarget)
	}
	var order []string
	for _, t := range said.Targets {
		order = append(order, t.Name+peerMark+strconv.Itoa(t.RelativeID))
	}
	sortAs(tg.Targets, order, func(t config.GroupTarget) string { return t.Name + peerMark + strconv.Itoa(t.RelativeID) })
	return tg, nil
}
