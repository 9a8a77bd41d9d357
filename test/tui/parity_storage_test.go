package tui

import (
	"os"
	"path/filepath"
	"strings"

	"github.com/gdamore/tcell/v2"
)

// storageFunctions are the menus Hardware RAID, Software RAID, LVM and File
// Systems.
func storageFunctions() []function {
	return []function{
		{"H1", "add volume", controller("H1", "/c0 add vd r6 drives=252:0-5")},
		{"H2", "remove volume", controller("H2", "/c0/v1 del")},
		{"H3", "add hot spare", controller("H3", "/c0/e252/s6 add hotsparedrive")},
		{"H4", "remove hot spare", controller("H4", "/c0/e252/s6 delete hotsparedrive")},
		{"O2", "add array", addArray},
		{"O1", "MD status", arrayStatus},
		{"O5", "add device", addSpare},
		{"O6", "remove device", removeSpare},
		{"L4", "add VG", addGroup},
		{"L2", "add PV", addPV},
		{"L6", "add LV", addVolume},
		{"L1", "LV list", listVolumes},
		{"F2", "add file system", addFileSystem},
		{"F4", "add vdisk file", addImage},
		{"F1", "vdisk file list", listImages},
		{"O4", "set device faulty", setFaulty},
		{"F5", "remove vdisk file", removeImage},
		{"F3", "remove file system", removeFileSystem},
		{"L7", "remove LV", removeVolume},
		{"L3", "remove PV", removePV},
		{"L5", "remove VG", removeGroup},
		{"O3", "remove array", removeArray},
	}
}

// controller does with a controller's program what an entry is for, by hand: there
// is neither a controller nor a vendor's program (with one the entry is a form:
// internal/tui/hardware TestParity). echo stands in for it, which the first of
// these functions puts in; what it says to the other ones is no answer of a
// controller's, and they say so. Programs run where the console does; here
// that is not the appliance, and what is run is noted and done there.
func controller(id, args string) func(*visit) {
	const program = "storcli64"
	return func(v *visit) {
		dir := v.t.TempDir()
		note := filepath.Join(dir, "ran")
		if err := os.WriteFile(filepath.Join(dir, program), []byte("#!/bin/sh\necho \"$*\" >"+note+"\n"), 0o755); err != nil {
			v.t.Fatal(err)
		}
		v.t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
		here := v.installed(program)
		v.open(id)
		if here {
			v.Wait("The controllers cannot be asked")
			v.Enter()
		}
		v.Wait("which controller?")
		v.Wait(program)
		if !here {
			v.Type("a")
			v.Wait("Put in " + program)
			v.Field("/usr/bin/echo")
			v.Enter()
			v.Wait("Done. Esc goes back.")
			v.Escape()
		}
		v.Wait("yes")
		v.Enter()
		v.Wait(program + " " + args) // the example
		v.Type("r")
		v.Field(args)
		v.Enter()
		ran, err := os.ReadFile(note)
		if err != nil {
			v.t.Fatal(err)
		}
		v.machine("bash -lc '"+program+" "+strings.TrimSpace(string(ran))+"'", args)
	}
}

// installed says whether a vendor's program is on the appliance.
func (v *visit) installed(program string) bool {
	var all []struct {
		Name      string
		Installed bool
	}
	v.a.Into(v.ctx, &all, "esos raid-cli list -o json")
	for _, x := range all {
		if x.Name == program {
			return x.Installed
		}
	}
	return false
}

func addArray(v *visit) {
	v.open("O2")
	v.Wait("Usable: choose a level")
	v.Mark("virtio-d1", "virtio-d2")
	v.Field("data")
	v.Choose("RAID 1 ")
	v.submit()
	v.CarryOut()
	v.machine("mdadm --detail /dev/md/data", "raid1", "Raid Devices : 2")
	v.machine("esos config show", "name: data", "virtio-d1", "virtio-d2")
}

func arrayStatus(v *visit) {
	v.open("O1")
	v.Wait("RAID 1")
	v.Wait("/dev/md/data") // at this width it is seen when nothing is at work
	v.Enter()
	v.Wait("virtio-d1")
	v.Shows("virtio-d2")
	v.Type("i")
	v.Wait("Members:")
}

// addSpare gives the array two disks that stand by.
func addSpare(v *visit) {
	v.open("O5")
	v.Enter()
	v.Wait("Add Device to data")
	v.Mark("virtio-d3", "virtio-d4")
	v.submit()
	v.CarryOut()
	v.machine("mdadm --detail /dev/md/data", "Spare Devices : 2")
}

// removeSpare takes one of them back.
func removeSpare(v *visit) {
	v.open("O6")
	v.Enter()
	v.Wait("Remove which disk from data?")
	v.Picked("virtio-d4")
	v.CarryOut()
	v.machine("mdadm --detail /dev/md/data", "Spare Devices : 1")
	v.machine("lsblk -no FSTYPE /dev/disk/by-id/virtio-d4 | grep -q . || echo it is blank", "it is blank")
}

func addGroup(v *visit) {
	v.open("L4")
	v.Wait("Add VG")
	v.Field("vg0")
	v.Mark("raid1") // the array, by its kind
	v.submit()
	v.CarryOut()
	v.machine("vgs --noheadings -o vg_name,pv_name vg0", "vg0", "/dev/md")
}

func addPV(v *visit) {
	v.open("L2")
	v.Wait("Add PV")
	v.Choose("vg0")
	v.Mark("virtio-d5")
	v.submit()
	v.CarryOut()
	v.machine("vgs --noheadings -o pv_count vg0", "2")
}

func addVolume(v *visit) {
	v.open("L6")
	v.Wait("Volume group vg0 has")
	v.next(2)
	v.Field("images")
	v.Field("700MiB")
	v.submit()
	v.CarryOut()
	v.machine("lvs --noheadings --units m -o lv_name,lv_size,segtype vg0", "images", "700.00m", "linear")
}

func listVolumes(v *visit) {
	v.open("L1")
	v.Wait("vg0/images")
	v.Enter()
	v.Wait("linear")
	v.Shows("700 MiB")
}

func addFileSystem(v *visit) {
	v.open("F2")
	v.Wait("Add file system")
	v.Choose("images")
	v.Field("images")
	v.submit()
	v.CarryOut()
	v.machine("findmnt -no SOURCE,FSTYPE,LABEL /mnt/vdisks/images", "images", "xfs")
}

func addImage(v *visit) {
	v.open("F4")
	v.Wait("are free on images")
	v.next(1)
	v.Field("db01")
	v.next(1) // the file's name is made of it
	v.Field("100MiB")
	v.Choose("allocated")
	v.submit()
	v.CarryOut()
	v.machine("stat -c '%s %b' /mnt/vdisks/images/db01.img", "104857600 204800")
	v.machine("esos device show db01", "db01.img")
}

func listImages(v *visit) {
	v.open("F1")
	v.Wait("The files of which file system?")
	v.Picked("images")
	v.Wait("db01.img")
	v.Shows("100 MiB")
}

// setFaulty has a disk fail; the spare takes its place, below all that stands
// on the array.
func setFaulty(v *visit) {
	v.a.Until(v.ctx, "cat /proc/mdstat", "[UU]")
	v.open("O4")
	v.Wait("Which array has the disk?")
	v.Enter()
	v.Wait("Which disk of data has failed?")
	v.Picked("virtio-d2")
	v.Wait("Take virtio-d2 for failed?")
	v.yes()
	v.Wait("is taken for failed")
	v.machine("mdadm --detail /dev/md/data", "faulty")
	v.a.Until(v.ctx, "mdadm --detail /dev/md/data; cat /proc/mdstat", "[UU]")
	v.open("O1")
	v.Enter()
	v.Wait("failed")
	v.machine("stat -c %s /mnt/vdisks/images/db01.img", "104857600")
}

func removeImage(v *visit) {
	v.open("F5")
	v.Picked("images")
	v.Wait("db01.img")
	v.Picked("db01")
	v.Wait("used by device db01")
	v.Press(tcell.KeyRight, tcell.KeyRight, tcell.KeyEnter)
	v.Destroy("image/db01")
	v.lacks("ls /mnt/vdisks/images; esos device list", "db01")
}

// removeFileSystem takes it from its volume, which cannot go before it.
func removeFileSystem(v *visit) {
	v.open("L7")
	v.Type("images")
	v.Wait("it is used by file system images")
	v.open("F3")
	v.Wait("Which one?")
	v.Enter()
	v.Wait("Remove file system images")
	v.Choose("deleted")
	v.Enter()
	v.Destroy("filesystem/images")
	v.lacks("findmnt -nl; lsblk -no FSTYPE /dev/vg0/images; ls /mnt/vdisks", "vdisks/images", "xfs", "images")
}

func removeVolume(v *visit) {
	v.open("L7")
	v.Type("images")
	v.Type(" ")
	v.Escape()
	v.Enter()
	v.Destroy("volume/vg0/images")
	v.lacks("lvs --noheadings", "images")
}

func removePV(v *visit) {
	v.open("L3")
	v.Wait("Remove PV")
	v.Choose("vg0")
	v.Mark("virtio-d5")
	v.submit()
	v.CarryOut()
	v.lacks("pvs --noheadings -o pv_name; lsblk -no FSTYPE /dev/disk/by-id/virtio-d5", "vd", "LVM")
}

func removeGroup(v *visit) {
	v.open("L5")
	v.Wait("vg0")
	v.Enter()
	v.Destroy("volume-group/vg0")
	v.lacks("vgs --noheadings; pvs --noheadings; esos config show", "vg0", "md")
}

func removeArray(v *visit) {
	v.open("O3")
	v.Wait("Remove which array?")
	v.Enter()
	v.Wait("Remove array data?")
	v.Press(tcell.KeyRight, tcell.KeyEnter)
	v.Destroy("array/data")
	v.lacks("cat /proc/mdstat; esos config show", "active", "/dev/md", "name: data\n")
	v.lacks("lsblk -no FSTYPE /dev/disk/by-id/virtio-d1 /dev/disk/by-id/virtio-d2 /dev/disk/by-id/virtio-d3", "raid")
}
