// Package raid is the Software RAID menu: arrays of the kernel's md.
package raid

import "github.com/esos-project/esos/internal/tui/frame"

// Menu is its entries.
func Menu() frame.Menu {
	return frame.Menu{Title: "Software RAID", Key: 'o', Actions: []frame.Action{
		{Title: "Linux MD Status", IDs: []string{"O1"}, Command: "esos array list",
			Does: "Arrays and how they are: state, disks, how far a resync is", Do: List},
		{Title: "Add Array", IDs: []string{"O2"}, Command: "esos array create ARRAY DISK... --level LEVEL",
			Does: "Make disks into a RAID array", Do: Add},
		{Title: "Remove Array", IDs: []string{"O3"}, Command: "esos array delete ARRAY --destroy array/ARRAY",
			Does: "Delete an array with what it holds, or only declare it no more", Do: removeOne},
		{Title: "Set Device Faulty", IDs: []string{"O4"}, Command: "esos array fail ARRAY DISK",
			Does: "Take a disk of an array for failed", Do: func(d *frame.Desk) { which(d, "Which array has the disk?", pickFaulty) }},
		{Title: "Add Device", IDs: []string{"O5"}, Command: "esos array add-spare ARRAY DISK...",
			Does: "Give an array a disk that stands by (a spare)", Do: func(d *frame.Desk) { which(d, "Which array gets a spare?", addSpare) }},
		{Title: "Remove Device", IDs: []string{"O6"}, Command: "esos array remove-disk ARRAY DISK...",
			Does: "Take a spare away from an array", Do: func(d *frame.Desk) { which(d, "Which array has the disk?", pickRemoved) }},
		{Title: "Replace Device", Command: "esos array replace-disk ARRAY OLD NEW",
			Does: "Put a disk in the place of another, failed or not", Do: func(d *frame.Desk) {
				which(d, "Which array has the disk?", func(d *frame.Desk, x array) { replace(d, x, "") })
			}},
		{Title: "Grow Array", Command: "esos array add-disk ARRAY DISK...",
			Does: "Spread an array over more disks, or change its level", Do: func(d *frame.Desk) { which(d, "Grow which array?", grow) }},
		{Title: "Check or Repair", Command: "esos array check ARRAY",
			Does: "Read all of an array and compare it, now", Do: func(d *frame.Desk) { which(d, "Check which array?", check) }},
		{Title: "Array Settings", Command: "esos array set ARRAY",
			Does: "Schedule of checks, speed limits, bitmap, write-mostly disks", Do: func(d *frame.Desk) { which(d, "Settings of which array?", settings) }},
		{Title: "Take Up a Foreign Array", Command: "esos array create ARRAY DISK... --level LEVEL --uuid UUID",
			Does: "Declare an array that disks are part of already, with what it holds", Do: takeUpOne},
	}}
}
