// Package volumes is the LVM menu: volume groups, volumes, and the snapshots of
// devices that stand on them.
package volumes

import (
	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/tui/frame"
)

// Menu is its entries: those that users of earlier ESOS know, in their order,
// and what was to be had on the command line only.
func Menu() frame.Menu {
	return frame.Menu{Title: "LVM", Key: 'l', Actions: []frame.Action{
		{Title: "LV List", IDs: []string{"L1"}, Command: "esos volume list", Do: list,
			Does: "All volumes: their type, size, how full they are, their cache, what uses them. Most can be done from here."},
		{Title: "Add PV", IDs: []string{"L2"}, Command: "esos volume-group add-device", Do: addDevice,
			Does: "Add disks or arrays to a volume group, or make one of them. A physical volume is a device of a group here."},
		{Title: "Remove PV", IDs: []string{"L3"}, Command: "esos volume-group remove-device", Do: removeDevice,
			Does: "Move what lies on a device of a volume group to the others, in use, and take the device out (pvmove)."},
		{Title: "Add VG", IDs: []string{"L4"}, Command: "esos volume-group create", Do: addGroup,
			Does: "Make a volume group of disks, arrays or encrypted devices, or take up one that is there."},
		{Title: "Remove VG", IDs: []string{"L5"}, Command: "esos volume-group delete", Do: removeGroup,
			Does: "Delete a volume group and all of its volumes, each by its name."},
		{Title: "Add LV", IDs: []string{"L6"}, Command: "esos volume create", Do: func(d *frame.Desk) { add(d, "", "") },
			Does: "Make a volume: linear, striped, RAID, thin, deduplicated and compressed."},
		{Title: "Remove LV", IDs: []string{"L7"}, Command: "esos volume delete", Do: remove,
			Does: "Delete volumes, each by its name."},
		{Title: "VG List", Command: "esos volume-group list", Do: listGroups,
			Does: "The volume groups: their size, free space, devices."},
		{Title: "Replace PV", Command: "esos volume-group add-device", Do: replaceDevice,
			Does: "Put another device in the place of one of a volume group: what lies on it is moved there, in use."},
		{Title: "Extend LV", Command: "esos volume resize", Do: func(d *frame.Desk) { extend(d, "") },
			Does: "Make a volume larger while it is used."},
		{Title: "Shrink LV", Command: "esos volume resize", Do: func(d *frame.Desk) { shrink(d, "") },
			Does: "Cut the end off a volume that nothing uses. What is there is lost."},
		{Title: "Rename LV", Command: "esos volume rename", Do: func(d *frame.Desk) { rename(d, "") },
			Does: "Rename a volume while it is used."},
		{Title: "LV Options", Command: "esos volume set", Do: func(d *frame.Desk) { options(d, "") },
			Does: "Read-only; deduplication and compression of a VDO; metadata of a thin pool."},
		{Title: "LV Cache", Command: "esos volume cache", Do: func(d *frame.Desk) { cache(d, "") },
			Does: "Put a faster device in front of a volume, or take it away."},
		{Title: "Add Thin Pool", Command: "esos volume create", Do: func(d *frame.Desk) { add(d, "", config.ThinPool) },
			Does: "Make a pool whose space thin volumes take as they are written."},
		{Title: "Add Thin LV", Command: "esos volume create", Do: func(d *frame.Desk) { add(d, "", config.ThinDisk) },
			Does: "Make a volume in a thin pool: it has snapshots and clones, and may be larger than the pool."},
		{Title: "Add VDO", Command: "esos volume create", Do: func(d *frame.Desk) { add(d, "", config.VDO) },
			Does: "Make a volume that stores equal blocks once, and compresses the others."},
		{Title: "Clone LV", Command: "esos volume clone", Do: func(d *frame.Desk) { clone(d, "") },
			Does: "Make a thin volume that begins with what another one, or a snapshot, holds."},
		{Title: "Snapshots", Command: "esos snapshot list", Do: listSnapshots,
			Does: "Snapshots of devices: take, delete, make a device of one and give it to a host group."},
		{Title: "Take Snapshot", Command: "esos snapshot create", Do: func(d *frame.Desk) { take(d) },
			Does: "Take snapshots of one or several devices, all of one moment."},
		{Title: "Snapshot Schedules", Command: "esos snapshot schedule list", Do: listSchedules,
			Does: "Snapshots that are taken by themselves, and how many are kept."},
	}}
}
