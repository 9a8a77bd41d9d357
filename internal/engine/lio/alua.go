package lio

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/host/kernfs/words"
)

// defaultPortGroup is in every device from the start, and cannot be removed.
const defaultPortGroup = "default_tg_pt_gp"

// stateCodes are the access states by their codes (SPC-5 table 306).
func stateCodes() map[string]string {
	return map[string]string{"active": "0", "nonoptimized": "1", "standby": "2", "unavailable": "3", "offline": "14", "transitioning": "15"}
}

// portGroup is the name of a target group in a device: that of its device
// group comes with it, with a character between them that no name has.
func portGroup(group, targetGroup string) string { return group + ":" + targetGroup }

// PutDeviceGroup implements engine.Engine. Devices that are not there yet join
// when they are made.
func (e *Engine) PutDeviceGroup(_ context.Context, g config.DeviceGroup) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := e.putDeviceGroup(g); err != nil {
		return fmt.Errorf("put device group %s: %w", g.Name, err)
	}
	return nil
}

func (e *Engine) putDeviceGroup(g config.DeviceGroup) error {
	for i := range g.TargetGroups {
		if g.TargetGroups[i].State != "" && stateCodes()[g.TargetGroups[i].State] == "" {
			return fmt.Errorf("target group %s: there is no access state %q", g.TargetGroups[i].Name, g.TargetGroups[i].State)
		}
	}
	if err := e.words.Put("groups", g.Name, g); err != nil {
		return err
	}
	if err := e.leaveGroup(g.Name, g.Devices); err != nil {
		return err
	}
	for _, name := range g.Devices {
		at, err := e.find(name)
		if err != nil {
			return err
		}
		if at == "" {
			continue
		}
		if strings.HasPrefix(at, "core/pscsi_") {
			return fmt.Errorf("device %s is passed on as it is, and LIO gives it no access states; take it out of the group, or use engine: scst", name)
		}
		if err := e.joinGroup(g, at); err != nil {
			return fmt.Errorf("device %s: %w", name, err)
		}
	}
	return e.bindAll(g)
}

// joinGroup makes the target port groups of a device.
func (e *Engine) joinGroup(g config.DeviceGroup, at string) error {
	dir := path.Join(at, "alua")
	names, err := e.k.list(dir)
	if err != nil {
		return err
	}
	want := map[string]config.TargetGroup{}
	for _, tg := range g.TargetGroups {
		want[portGroup(g.Name, tg.Name)] = tg.WithDefaults()
	}
	// Those that go, or get another identifier, first: it is given once, and
	// no two groups of a device share one.
	for _, name := range names {
		if !strings.HasPrefix(name, g.Name+":") {
			continue
		}
		tg, stays := want[name]
		if stays {
			id, err := e.k.read(path.Join(dir, name, "tg_pt_gp_id"))
			if err != nil {
				return err
			}
			if id == "" || id == strconv.Itoa(tg.ID) {
				continue
			}
		}
		if err := e.k.rmdir(path.Join(dir, name)); err != nil {
			return err
		}
	}
	for _, tg := range g.TargetGroups {
		if err := e.putPortGroup(path.Join(dir, portGroup(g.Name, tg.Name)), tg.WithDefaults()); err != nil {
			return fmt.Errorf("target group %s: %w", tg.Name, err)
		}
	}
	return nil
}

// implicitOnly keeps initiators from changing access states by SET TARGET PORT
// GROUPS: they are the document's. It reads back in words.
const implicitOnly = "1"

func (e *Engine) putPortGroup(at string, tg config.TargetGroup) error {
	if err := e.k.mkdir(at); err != nil {
		return err
	}
	for _, s := range []setting{
		{"tg_pt_gp_id", strconv.Itoa(tg.ID)},
		{"alua_access_type", implicitOnly},
		{"preferred", digit(tg.Preferred)},
		{"alua_access_state", stateCodes()[tg.State]},
	} {
		now, err := e.k.read(path.Join(at, s.file))
		if err == nil && (now == s.value || s.file == "alua_access_type" && now == "Implicit") {
			continue
		}
		if err == nil {
			err = e.k.WriteFile(path.Join(at, s.file), s.value)
		}
		if errors.Is(err, unix.EINVAL) && s.file == "alua_access_state" {
			return fmt.Errorf("this kernel's LIO does not take the state %s: %w; use another one, or engine: native or scst", tg.State, err)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// leaveGroup takes a group's target port groups from devices that are not in
// it; the kernel puts their ports into the default one.
func (e *Engine) leaveGroup(group string, keep []string) error {
	hbas, err := e.hbas()
	if err != nil {
		return err
	}
	for _, hba := range hbas {
		devices, err := e.k.list(path.Join("core", hba))
		if err != nil {
			return err
		}
		for _, d := range devices {
			if d == "hba_info" || d == "hba_mode" || slices.Contains(keep, d) {
				continue
			}
			dir := path.Join("core", hba, d, "alua")
			names, err := e.k.list(dir)
			if err != nil {
				return err
			}
			for _, name := range names {
				if strings.HasPrefix(name, group+":") {
					if err := e.k.rmdir(path.Join(dir, name)); err != nil {
						return err
					}
				}
			}
		}
	}
	return nil
}

// bindAll puts the LUNs of a group's devices into its target port groups.
func (e *Engine) bindAll(g config.DeviceGroup) error {
	return e.eachTarget(func(p place) error {
		tags, err := e.tags(p)
		if err != nil {
			return err
		}
		for _, tag := range tags {
			luns, err := e.portLUNs(p.tpg(tag))
			if err != nil {
				return err
			}
			for _, l := range luns {
				if !slices.Contains(g.Devices, path.Base(l.to)) {
					continue
				}
				lun := path.Join(p.tpg(tag), "lun", "lun_"+strconv.Itoa(l.number))
				if err := e.bindTo(lun, portGroupOf(g, p.name)); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// portGroupOf is the target port group of a target's own ports.
func portGroupOf(g config.DeviceGroup, target string) string {
	for _, tg := range g.TargetGroups {
		for _, t := range tg.Targets {
			if t.Name == target && t.RelativeID == 0 {
				return portGroup(g.Name, tg.Name)
			}
		}
	}
	return defaultPortGroup
}

// bind puts a LUN into the target port group that its device's group says.
// That is done before any ACL leads to it.
func (e *Engine) bind(lun, device string) error {
	names, err := e.k.list(path.Join(device, "alua"))
	if err != nil {
		return err
	}
	for _, name := range names {
		group, _, ours := strings.Cut(name, ":")
		if !ours {
			continue
		}
		var g config.DeviceGroup
		known, err := e.words.Get("groups", group, &g)
		if err != nil {
			return err
		}
		if known {
			if err := e.joinGroup(g, device); err != nil { // a change that was cut off may have left it half made
				return err
			}
			return e.bindTo(lun, portGroupOf(g, placeAt(lun).name))
		}
	}
	return nil
}

func (e *Engine) bindTo(lun, group string) error {
	now, err := e.boundTo(lun)
	if err != nil || now == group {
		return err
	}
	return e.k.WriteFile(path.Join(lun, "alua_tg_pt_gp"), group)
}

// boundTo reads the target port group of a LUN (core_alua_show_tg_pt_gp_info).
func (e *Engine) boundTo(lun string) (string, error) {
	text, err := e.k.read(path.Join(lun, "alua_tg_pt_gp"))
	first, _, _ := strings.Cut(text, "\n")
	return strings.TrimSpace(strings.TrimPrefix(first, "TG Port Alias:")), err
}

// applyDeviceGroups lets a device that was just made join its group.
func (e *Engine) applyDeviceGroups(name, at string) error {
	groups, err := words.All[config.DeviceGroup](e.words.Store, "groups")
	if err != nil {
		return err
	}
	for _, g := range groups {
		if slices.Contains(g.Devices, name) {
			return e.joinGroup(g, at)
		}
	}
	return nil
}

// DeleteDeviceGroup implements engine.Engine.
func (e *Engine) DeleteDeviceGroup(_ context.Context, name string) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	err := e.leaveGroup(name, nil)
	if err == nil {
		err = e.words.Remove("groups", name)
	}
	if err != nil {
		return fmt.Errorf("delete device group %s: %w", name, err)
	}
	return nil
}
