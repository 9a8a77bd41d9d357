package api

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/esos-project/esos/internal/config"
)

// resources are the parts of the document that can be changed one by one.
func (s *Server) resources() {
	register(s, collection[config.Device]{
		path: "/devices", tag: "devices", one: "Device", word: "device", role: Operator,
		list:   func(doc *config.Document, _ place) ([]config.Device, error) { return doc.Devices, nil },
		find:   func(doc *config.Document, p place) (*config.Device, error) { return doc.FindDevice(p.name) },
		name:   func(v *config.Device) string { return v.Name },
		add:    func(doc *config.Document, _ place, v config.Device) error { return doc.AddDevice(v) },
		remove: func(doc *config.Document, p place) error { return doc.RemoveDevice(p.name, false) },
	})
	register(s, collection[config.Portal]{
		path: "/portals", tag: "portals", one: "Portal", word: "portal", role: Operator,
		list:   func(doc *config.Document, _ place) ([]config.Portal, error) { return doc.ISCSI.Portals, nil },
		find:   func(doc *config.Document, p place) (*config.Portal, error) { return doc.FindPortal(p.name) },
		name:   func(v *config.Portal) string { return v.Name },
		add:    func(doc *config.Document, _ place, v config.Portal) error { return doc.AddPortal(v) },
		remove: func(doc *config.Document, p place) error { return doc.RemovePortal(p.name) },
	})
	register(s, collection[config.Target]{
		path: "/targets", tag: "targets", one: "Target", word: "target", role: Operator,
		list:   func(doc *config.Document, _ place) ([]config.Target, error) { return doc.Targets, nil },
		find:   func(doc *config.Document, p place) (*config.Target, error) { return doc.FindTarget(p.name) },
		name:   func(v *config.Target) string { return v.Name },
		add:    func(doc *config.Document, _ place, v config.Target) error { return doc.AddTarget(v) },
		remove: func(doc *config.Document, p place) error { return doc.RemoveTarget(p.name) },
	})
	register(s, collection[config.Group]{
		path: "/targets/{target}/groups", tag: "groups", one: "Group", word: "host group", role: Operator,
		list: func(doc *config.Document, p place) ([]config.Group, error) {
			t, err := doc.FindTarget(p.target)
			if err != nil {
				return nil, err
			}
			return t.Groups, nil
		},
		find:   func(doc *config.Document, p place) (*config.Group, error) { return doc.FindGroup(p.target, p.name) },
		name:   func(v *config.Group) string { return v.Name },
		add:    func(doc *config.Document, p place, v config.Group) error { return doc.AddGroup(p.target, v) },
		remove: func(doc *config.Document, p place) error { return doc.RemoveGroup(p.target, p.name) },
	})
	register(s, initiators())
	register(s, luns("/targets/{target}/luns", "DefaultLUN", "LUN of the default map"))
	register(s, luns("/targets/{target}/groups/{group}/luns", "GroupLUN", "LUN of a host group"))
	register(s, collection[config.DeviceGroup]{
		path: "/device-groups", tag: "device groups", one: "DeviceGroup", word: "device group", role: Operator,
		list:   func(doc *config.Document, _ place) ([]config.DeviceGroup, error) { return doc.DeviceGroups, nil },
		find:   func(doc *config.Document, p place) (*config.DeviceGroup, error) { return doc.FindDeviceGroup(p.name) },
		name:   func(v *config.DeviceGroup) string { return v.Name },
		add:    func(doc *config.Document, _ place, v config.DeviceGroup) error { return doc.AddDeviceGroup(v) },
		remove: func(doc *config.Document, p place) error { return doc.RemoveDeviceGroup(p.name) },
	})
}

// luns are a target's LUN maps; without {group} in the path its default map.
func luns(path, one, word string) collection[config.LUN] {
	find := func(doc *config.Document, p place) (*config.LUN, error) {
		luns, err := doc.LUNMap(p.target, p.group)
		if err != nil {
			return nil, err
		}
		for i := range *luns {
			if strconv.Itoa((*luns)[i].LUN) == p.name {
				return &(*luns)[i], nil
			}
		}
		return nil, fmt.Errorf("LUN %s of target %q: %w", p.name, p.target, config.ErrNotFound)
	}
	return collection[config.LUN]{
		path: path, tag: "LUNs", one: one, word: word, role: Operator,
		list: func(doc *config.Document, p place) ([]config.LUN, error) {
			luns, err := doc.LUNMap(p.target, p.group)
			if err != nil {
				return nil, err
			}
			return *luns, nil
		},
		find: find,
		name: func(v *config.LUN) string { return strconv.Itoa(v.LUN) },
		add: func(doc *config.Document, p place, v config.LUN) error {
			_, err := doc.MapLUN(p.target, p.group, v)
			return err
		},
		remove: func(doc *config.Document, p place) error {
			l, err := find(doc, p)
			if err != nil {
				return err
			}
			return doc.UnmapLUN(p.target, p.group, l.LUN)
		},
	}
}

// Initiator is one pattern of a host group.
type Initiator struct {
	Pattern string `json:"pattern" maxLength:"255" doc:"A name, or a pattern with * and ?; a leading ! excludes."`
}

func initiators() collection[Initiator] {
	list := func(doc *config.Document, p place) ([]Initiator, error) {
		g, err := doc.FindGroup(p.target, p.group)
		if err != nil {
			return nil, err
		}
		var all []Initiator
		for _, n := range g.Initiators {
			all = append(all, Initiator{n})
		}
		return all, nil
	}
	return collection[Initiator]{
		path: "/targets/{target}/groups/{group}/initiators", tag: "groups", one: "Initiator", word: "group's initiator", role: Operator,
		list: list,
		find: func(doc *config.Document, p place) (*Initiator, error) {
			all, err := list(doc, p)
			if err != nil {
				return nil, err
			}
			if i := slices.Index(all, Initiator{p.name}); i >= 0 {
				return &all[i], nil
			}
			return nil, fmt.Errorf("initiator %q in group %q: %w", p.name, p.group, config.ErrNotFound)
		},
		name: func(v *Initiator) string { return v.Pattern },
		add: func(doc *config.Document, p place, v Initiator) error {
			return doc.AddInitiator(p.target, p.group, v.Pattern)
		},
		remove: func(doc *config.Document, p place) error {
			return doc.RemoveInitiator(p.target, p.group, p.name)
		},
	}
}
