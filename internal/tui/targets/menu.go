// Package targets is the Targets menu: targets, portals and NVMe subsystems.
package targets

import "github.com/esos-project/esos/internal/tui/frame"

// Menu is its entries.
func Menu() frame.Menu {
	return frame.Menu{Title: "Targets", Key: 't', Bottom: true, Actions: []frame.Action{
		{Title: "Target Information", IDs: []string{"R1"}, Command: "esos target list", Do: List,
			Does: "All targets: look at one, add, change, enable, disable and remove them."},
		{Title: "Add iSCSI Target", IDs: []string{"R2"}, Command: "esos target create TARGET", Do: func(d *frame.Desk) { add(d, false) },
			Does: "Make a target that initiators log in to."},
		{Title: "Remove iSCSI Target", IDs: []string{"R3"}, Command: "esos target delete TARGET", Do: remove,
			Does: "Take a target away with its groups and LUNs; devices stay."},
		{Title: "Issue LIP", IDs: []string{"R4"}, Command: "esos target lip", Do: lip,
			Does: "Have Fibre Channel switches and hosts look again at this array's ports."},
		{Title: "Enable/Disable Target", IDs: []string{"R5"}, Command: "esos target enable TARGET", Do: enable,
			Does: "Let initiators log in to a target, or end their sessions."},
		{Title: "Set Relative Target ID", IDs: []string{"R6"}, Command: "esos config edit", Do: relative,
			Does: "The number by which initiators tell this array's ports apart (ALUA)."},
		{Title: "Add Target of Another Fabric", Command: "esos target create TARGET --driver DRIVER", Do: func(d *frame.Desk) { add(d, true) },
			Does: "SRP, Fibre Channel, FCoE, or this machine itself."},
		{Title: "Target Parameters", Command: "esos target set TARGET --parameter NAME=VALUE", Do: parametersOfOne,
			Does: "Operational keys of an iSCSI target: digests, burst lengths, pings ..."},
		{Title: "iSCSI Portals", Command: "esos portal list", Do: portals,
			Does: "Addresses that initiators connect to, IPv4 and IPv6."},
		{Title: "NVMe Subsystems", Command: "esos nvme subsystem list", Do: subsystems,
			Does: "What NVMe hosts connect to: namespaces, and who may."},
		{Title: "NVMe Ports", Command: "esos nvme port list", Do: nvmePorts,
			Does: "Addresses that NVMe hosts connect to: TCP, RDMA, Fibre Channel."},
		{Title: "NVMe Connections", Command: "esos nvme connection list", Do: connections,
			Does: "NVMe hosts that are connected."},
	}}
}
