package install

import (
	"strings"
	"testing"

	"github.com/esos-project/esos/internal/boot"
	"github.com/esos-project/esos/internal/medium/disk"
)

var disks = []disk.Disk{
	{Name: "sda", Path: "/dev/sda", Model: "SanDisk Ultra Fit", Transport: "usb", Size: 8e9, SectorSize: 512},
	{Name: "sdb", Path: "/dev/sdb", Model: "SanDisk Ultra Fit", Transport: "usb", Size: 16e9, SectorSize: 512},
	{Name: "sdc", Path: "/dev/sdc", Model: "ST4000NM", Transport: "sas", Size: 4e12, SectorSize: 512, Uses: []string{"sdc1 is mounted at /mnt"}},
	{Name: "nvme0n1", Path: "/dev/nvme0n1", Model: "Fast 512", Transport: "nvme", Size: 512e9, SectorSize: 512},
	{Name: "nvme1n1", Path: "/dev/nvme1n1", Model: "Odd", Transport: "nvme", Size: 512e9, SectorSize: 4096},
	{Name: "vda", Path: "/dev/vda", Transport: "virtio", Size: 1e9, SectorSize: 512},
}

func TestChoose(t *testing.T) {
	for name, test := range map[string]struct {
		options boot.InstallOptions
		iso     string
		want    string // the disk
		err     string
	}{
		"by device":         {options: boot.InstallOptions{Device: "/dev/sda"}, want: "sda"},
		"by a link":         {options: boot.InstallOptions{Device: "/dev/disk/by-id/x"}, want: "nvme0n1"},
		"by transport":      {options: boot.InstallOptions{Transport: "nvme"}, want: "nvme0n1"},
		"by model":          {options: boot.InstallOptions{Model: "^fast (256|512)$"}, want: "nvme0n1"},
		"all of them":       {options: boot.InstallOptions{Device: "sdb", Transport: "usb", Model: "sandisk"}, want: "sdb"},
		"beside the ISO":    {options: boot.InstallOptions{Transport: "usb"}, iso: "sda", want: "sdb"},
		"two sticks":        {options: boot.InstallOptions{Transport: "usb"}, err: "more than one disk fits"},
		"nothing said":      {err: "more than one disk fits"},
		"the ISO's own":     {options: boot.InstallOptions{Device: "sda"}, iso: "sda", err: "it holds the ISO"},
		"mounted":           {options: boot.InstallOptions{Device: "sdc"}, err: "it is in use: sdc1 is mounted at /mnt"},
		"sectors":           {options: boot.InstallOptions{Device: "nvme1n1"}, err: "its sectors have 4096 bytes"},
		"too small":         {options: boot.InstallOptions{Transport: "virtio"}, err: "it is smaller than 2.8 GB"},
		"unknown model":     {options: boot.InstallOptions{Model: "Seagate"}, err: "no disk fits install_model=Seagate"},
		"bad pattern":       {options: boot.InstallOptions{Model: "("}, err: "the model pattern"},
		"unknown transport": {options: boot.InstallOptions{Transport: "scisi"}, err: "want one of usb"},
		"contradiction":     {options: boot.InstallOptions{Device: "sda", Transport: "nvme"}, err: "no disk fits install_dev=sda install_tran=nvme"},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := choose(disks, test.options, test.iso, 2.8e9, func(path string) string {
				return strings.Replace(path, "/dev/disk/by-id/x", "/dev/nvme0n1", 1)
			})
			var d disk.Disk
			if err == nil {
				d, err = c.only(test.options)
			}
			if test.err != "" {
				if err == nil || !strings.Contains(err.Error(), test.err) {
					t.Errorf("error %v, want one with %q", err, test.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if d.Name != test.want {
				t.Errorf("it took %s, want %s", d.Name, test.want)
			}
		})
	}
}
