// Package devices is the Devices menu: what LUNs lead to, and the LUNs.
package devices

import "github.com/esos-project/esos/internal/tui/frame"

// Menu is its entries.
func Menu() frame.Menu {
	return frame.Menu{Title: "Devices", Key: 'd', Bottom: true, Actions: []frame.Action{
		{Title: "LUN/Group Layout", IDs: []string{"D1"}, Command: "esos lun list", Do: layout,
			Does: "Targets, their groups, who is in them, and which device each LUN leads to."},
		{Title: "Device Information", IDs: []string{"D2"}, Command: "esos device list", Do: List,
			Does: "All devices: look at one, add, change, grow, map and remove them."},
		{Title: "Add Device", IDs: []string{"D3"}, Command: "esos device create DEVICE", Do: Add,
			Does: "Make a disk or a CD-ROM drive that LUNs can lead to."},
		{Title: "Remove Device", IDs: []string{"D4"}, Command: "esos device delete DEVICE", Do: remove,
			Does: "Take a device away, with the LUNs that lead to it."},
		{Title: "Map to Host Group", IDs: []string{"D5"}, Command: "esos lun map TARGET DEVICE --group GROUP", Do: func(d *frame.Desk) { Map(d, Place{}) },
			Does: "Give the initiators of a group a device as a LUN."},
		{Title: "Unmap from Host Group", IDs: []string{"D6"}, Command: "esos lun unmap TARGET LUN --group GROUP", Do: unmap,
			Does: "Take a LUN away; the device stays."},
		{Title: "Resize Device", Command: "esos device resize DEVICE SIZE", Do: resizeOne,
			Does: "Grow a device while it is in use."},
		{Title: "Insert or Eject CD", Command: "esos device insert DEVICE ISO", Do: mediumOfOne,
			Does: "Put an ISO file into a CD-ROM drive, or take it out."},
		{Title: "Change Device", Command: "esos device set DEVICE", Do: changeOne,
			Does: "Caching, access, identity (serial, NAA, T10 id) and the engine's attributes."},
	}}
}
