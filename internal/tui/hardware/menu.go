// Package hardware is the Hardware RAID menu: controllers, and the disks themselves, wherever they are.
package hardware

import (
	"github.com/esos-project/esos/internal/host/hwraid"
	"github.com/esos-project/esos/internal/tui/frame"
)

// Menu is its entries.
func Menu() frame.Menu { return menu(onTerminal) }

// menu is Menu with what runs vendors' programs.
func menu(run runner) frame.Menu {
	p := programs{run: run}
	task := func(title, id, does, command string, t task, do func(*frame.Desk, []hwraid.Controller)) frame.Action {
		return frame.Action{Title: title, IDs: []string{id}, Does: does, Command: command,
			Do: func(d *frame.Desk) { p.withControllers(d, t, func(all []hwraid.Controller) { do(d, all) }) }}
	}
	m := frame.Menu{Title: "Hardware RAID", Key: 'a'}
	m.Actions = []frame.Action{
		task("Add Volume", "H1", "Make disks at a RAID controller into a volume", "esos hwraid add-volume CONTROLLER", addVolume(), newVolume),
		task("Remove Volume", "H2", "Delete a volume of a RAID controller", "esos hwraid remove-volume CONTROLLER VOLUME", removeVolume(), dropVolume),
		task("Add Hot Spare", "H3", "Give a RAID controller a disk that stands by", "esos hwraid add-spare CONTROLLER DRIVE", addSpare(), newSpare),
		task("Remove Hot Spare", "H4", "Take a hot spare back from a RAID controller", "esos hwraid remove-spare CONTROLLER DRIVE", removeSpare(), dropSpare),
		{Title: "Controllers' Programs", Command: "esos raid-cli list", Does: "Vendors' programs for RAID controllers: put in, run, take out", Do: func(d *frame.Desk) { p.list(d, nil) }},
		{Title: "Disks", Command: "esos disk list", Does: "All disks, their health and their LEDs; wipe and discard them", Do: Disks},
		{Title: "Locate a Disk", Command: "esos disk locate DISK", Does: "Make the LED at a disk blink, or stop", Do: locateOne},
		{Title: "Wipe a Disk", Command: "esos disk wipe DISK", Does: "Take away what tells what is on a disk, so that it counts as blank", Do: func(d *frame.Desk) { giveUpOne(d, wipe()) }},
		{Title: "Discard a Disk", Command: "esos disk discard DISK", Does: "Wipe a flash disk and tell it that no byte is needed (TRIM, UNMAP)", Do: func(d *frame.Desk) { giveUpOne(d, discard()) }},
		{Title: "Remote Disks", Command: "esos remote list", Does: "Disks of other arrays: iSCSI and NVMe logins of this machine", Do: Remote},
		{Title: "Log In to an iSCSI Target", Command: "esos remote add-iscsi NAME TARGET ADDRESS", Does: "Use the disks of an iSCSI target elsewhere", Do: addISCSI},
		{Title: "Connect to an NVMe Subsystem", Command: "esos remote add-nvme NAME SUBSYSTEM ADDRESS", Does: "Use the disks of an NVMe subsystem elsewhere (TCP, RDMA)", Do: addNVMe},
		{Title: "Multipath", Command: "esos multipath list", Does: "Disks that are reached by several paths", Do: Multipath},
	}
	return m
}
