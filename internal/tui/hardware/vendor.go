package hardware

import (
	"strings"

	v1 "github.com/esos-project/esos/internal/api/v1"
)

// task is what users of earlier ESOS have entries for, which the vendors'
// programs do.
type task struct {
	title, text string
	example     func(vendor) string
}

// tasks are those of the classic menu, in its order.
func tasks() []task { return []task{addVolume(), removeVolume(), addSpare(), removeSpare()} }

func addVolume() task {
	return task{"Add Volume", "Disks at the controller that nothing has are made into a volume (a logical or virtual drive), which is then among Disks, and can be used as any other.",
		func(v vendor) string { return v.add }}
}

func removeVolume() task {
	return task{"Remove Volume", "A volume is deleted with all that it holds. Give up first what uses it here (Disks tells who does): the controller does not know.",
		func(v vendor) string { return v.remove }}
}

func addSpare() task {
	return task{"Add Hot Spare", "A disk at the controller stands by, and takes the place of one that fails in a volume, by itself.",
		func(v vendor) string { return v.spare }}
}

func removeSpare() task {
	return task{"Remove Hot Spare", "A disk stands by no more, and can be made part of a volume again.", func(v vendor) string { return v.unspare }}
}

// vendor is how a vendor's program is called: what only shows what there is,
// and an example of each task. Those that it has none of are in its manual.
type vendor struct {
	show, add, remove, spare, unspare string
}

// vendors are the programs that there are examples of.
func vendors() map[string]vendor {
	mega := vendor{show: "/call show", add: "/c0 add vd r6 drives=252:0-5", remove: "/c0/v1 del", spare: "/c0/e252/s6 add hotsparedrive", unspare: "/c0/e252/s6 delete hotsparedrive"}
	smart := vendor{show: "ctrl all show config", add: "ctrl slot=0 create type=ld drives=1I:1:1-1I:1:4 raid=6", remove: "ctrl slot=0 ld 2 delete",
		spare: "ctrl slot=0 array A add spares=1I:1:5", unspare: "ctrl slot=0 array A remove spares=1I:1:5"}
	return map[string]vendor{
		"storcli64": mega, "perccli64": mega,
		"arcconf":  {show: "getconfig 1", add: "create 1 logicaldrive max 6 0 0 0 1 0 2 0 3", remove: "delete 1 logicaldrive 1", spare: "setstate 1 device 0 4 hsp", unspare: "setstate 1 device 0 4 rdy"},
		"hpacucli": smart, "hpssacli": smart, "ssacli": smart,
		"tw_cli": {show: "show", add: "/c0 add type=raid6 disk=0-4", remove: "/c0/u1 del", spare: "/c0 add type=spare disk=5", unspare: "/c0/u2 del"},
		"MegaCli64": {show: "-LDPDInfo -aALL", add: "-CfgLdAdd -r6 [252:0,252:1,252:2,252:3] -a0", remove: "-CfgLdDel -L1 -a0",
			spare: "-PDHSP -Set -PhysDrv [252:4] -a0", unspare: "-PDHSP -Rmv -PhysDrv [252:4] -a0"},
	}
}

// volumeOf names the programs whose controllers call their volumes as a disk is
// called; none if it does not look like a volume.
func volumeOf(k v1.Disk) []string {
	vendor, model := strings.ToUpper(k.Vendor), strings.ToUpper(k.Model)
	switch {
	case (vendor == "LSI" || vendor == "AVAGO" || vendor == "BROADCOM") && (strings.HasPrefix(model, "MR") || strings.Contains(model, "MEGARAID")):
		return []string{"storcli64", "MegaCli64"}
	case vendor == "DELL" && strings.HasPrefix(model, "PERC"):
		return []string{"perccli64"}
	case vendor == "ADAPTEC":
		return []string{"arcconf"}
	case (vendor == "HP" || vendor == "HPE") && model == "LOGICAL VOLUME":
		return []string{"hpacucli", "hpssacli", "ssacli"}
	case vendor == "ARECA":
		return []string{"cli64"}
	case vendor == "AMCC" || vendor == "3WARE":
		return []string{"tw_cli"}
	}
	return nil
}
