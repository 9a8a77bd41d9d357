// Package hosts is the Hosts menu: host groups, initiators and their sessions.
package hosts

import "github.com/esos-project/esos/internal/tui/frame"

// Menu is its entries.
func Menu() frame.Menu {
	return frame.Menu{Title: "Hosts", Key: 'h', Bottom: true, Actions: []frame.Action{
		{Title: "Add Group", IDs: []string{"G1"}, Command: "esos group create TARGET GROUP", Do: func(d *frame.Desk) { addGroup(d, "") },
			Does: "Make a host group: initiators of a target that see the same LUNs."},
		{Title: "Remove Group", IDs: []string{"G2"}, Command: "esos group delete TARGET GROUP", Do: removeGroup,
			Does: "Take a host group away with its LUNs; devices stay."},
		{Title: "Add Initiator", IDs: []string{"G3"}, Command: "esos initiator add TARGET GROUP PATTERN", Do: func(d *frame.Desk) { addInitiator(d, "", "") },
			Does: "Take initiators into a group: those that are connected, or names and patterns."},
		{Title: "Remove Initiator", IDs: []string{"G4"}, Command: "esos initiator remove TARGET GROUP PATTERN", Do: removeInitiator,
			Does: "Take an initiator out of a group."},
		{Title: "Host Groups", Command: "esos group list", Do: func(d *frame.Desk) { List(d, "") },
			Does: "All host groups: initiators, LUNs and who is logged in."},
		{Title: "Sessions", Command: "esos session list", Do: Sessions,
			Does: "Who is logged in, what each reads and writes; log one out."},
		{Title: "CHAP Accounts", Command: "esos auth list", Do: func(d *frame.Desk) { CHAP(d, "") },
			Does: "What initiators and targets must prove (one-way and mutual CHAP)."},
	}}
}
