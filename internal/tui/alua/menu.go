// Package alua is the ALUA menu: device groups, target groups and their states.
package alua

import "github.com/esos-project/esos/internal/tui/frame"

// Menu is its entries.
func Menu() frame.Menu {
	return frame.Menu{Title: "ALUA", Key: 'u', Bottom: true, Actions: []frame.Action{
		{Title: "Device/Target Group Layout", IDs: []string{"U1"}, Command: "esos alua list", Do: layout,
			Does: "Device groups, their devices, target groups with ids and states, and targets."},
		{Title: "Add Device Group", IDs: []string{"U2"}, Command: "esos alua create DEVICE-GROUP", Do: addDeviceGroup,
			Does: "Make a group of devices whose paths have access states."},
		{Title: "Remove Device Group", IDs: []string{"U3"}, Command: "esos alua delete DEVICE-GROUP", Do: removeDeviceGroup,
			Does: "Take a device group away; devices and targets stay."},
		{Title: "Add Target Group", IDs: []string{"U4"}, Command: "esos alua group create DEVICE-GROUP TARGET-GROUP", Do: func(d *frame.Desk) { addTargetGroup(d, "") },
			Does: "Make a group of targets that have one access state."},
		{Title: "Remove Target Group", IDs: []string{"U5"}, Command: "esos alua group delete DEVICE-GROUP TARGET-GROUP", Do: removeTargetGroup,
			Does: "Take a target group away; targets stay."},
		{Title: "Add Device to Group", IDs: []string{"U6"}, Command: "esos alua set DEVICE-GROUP --add DEVICE", Do: func(d *frame.Desk) { addDevice(d, "") },
			Does: "Put devices into a device group."},
		{Title: "Remove Device from Group", IDs: []string{"U7"}, Command: "esos alua set DEVICE-GROUP --remove DEVICE", Do: removeDevice,
			Does: "Take a device out of its device group."},
		{Title: "Add Target to Group", IDs: []string{"U8"}, Command: "esos alua group set DEVICE-GROUP TARGET-GROUP --target TARGET", Do: func(d *frame.Desk) { addTarget(d, place{}) },
			Does: "Put a target of this array, or of the peer node, into a target group."},
		{Title: "Remove Target from Group", IDs: []string{"U9"}, Command: "esos alua group set DEVICE-GROUP TARGET-GROUP --target TARGET", Do: removeTarget,
			Does: "Take a target out of a target group."},
		{Title: "Access State and Preference", Command: "esos alua group set DEVICE-GROUP TARGET-GROUP --state STATE", Do: changeState,
			Does: "Say which paths are the good ones: active, nonoptimized, standby ..."},
	}}
}
