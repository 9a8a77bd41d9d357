package install

import (
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/esos-project/esos/internal/boot"
	"github.com/esos-project/esos/internal/medium"
	"github.com/esos-project/esos/internal/medium/disk"
)

// choice is which disks could take the installation, and why the others
// cannot.
type choice struct {
	fits    []disk.Disk
	reasons []string // of those that do not, a line each
}

// choose sorts disks by what was asked for. isoDisk is the one that the ISO is
// on, "" for a CD.
func choose(disks []disk.Disk, o boot.InstallOptions, isoDisk string, size int64, resolve func(string) string) (choice, error) {
	var c choice
	var model *regexp.Regexp
	if o.Model != "" {
		var err error
		if model, err = regexp.Compile("(?i)" + o.Model); err != nil {
			return c, fmt.Errorf("the model pattern %q: %w", o.Model, err)
		}
	}
	if o.Transport != "" && !isTransport(o.Transport) {
		return c, fmt.Errorf("transport %q: want one of %s", o.Transport, strings.Join(transports(), ", "))
	}
	device := ""
	if o.Device != "" {
		device = filepath.Base(resolve(o.Device))
	}
	for _, d := range disks {
		why := ""
		switch {
		case d.Name == isoDisk:
			why = "it holds the ISO"
		case device != "" && d.Name != device:
			why = "it is not " + o.Device
		case o.Transport != "" && d.Transport != o.Transport:
			why = "it is not on " + o.Transport
		case model != nil && !model.MatchString(d.Model):
			why = fmt.Sprintf("its model does not match %q", o.Model)
		case d.ReadOnly:
			why = "it is write-protected"
		case d.SectorSize != medium.SectorSize:
			why = fmt.Sprintf("its sectors have %d bytes, not %d", d.SectorSize, medium.SectorSize)
		case d.Size < size:
			why = "it is smaller than " + disk.HumanSize(size)
		case len(d.Uses) > 0:
			why = "it is in use: " + d.Uses[0]
		}
		if why == "" {
			c.fits = append(c.fits, d)
		} else {
			c.reasons = append(c.reasons, fmt.Sprintf("%s: %s", d, why))
		}
	}
	return c, nil
}

// only returns the one disk that fits; none, or more than one, is refused with
// the list.
func (c choice) only(o boot.InstallOptions) (disk.Disk, error) {
	switch len(c.fits) {
	case 1:
		return c.fits[0], nil
	case 0:
		text := "no disk fits"
		if asked := describe(o); asked != "" {
			text += " " + asked
		}
		if len(c.reasons) == 0 {
			return disk.Disk{}, errors.New(text + ": there is none")
		}
		return disk.Disk{}, errors.New(text + ":\n  " + strings.Join(c.reasons, "\n  "))
	}
	var lines []string
	for _, d := range c.fits {
		lines = append(lines, d.String())
	}
	return disk.Disk{}, fmt.Errorf("more than one disk fits, and none is taken by chance; say more with install_dev=, install_tran= or install_model=:\n  %s", strings.Join(lines, "\n  "))
}

// describe says what was asked for.
func describe(o boot.InstallOptions) string {
	var parts []string
	for _, p := range []struct{ name, value string }{{"install_dev", o.Device}, {"install_tran", o.Transport}, {"install_model", o.Model}} {
		if p.value != "" {
			parts = append(parts, p.name+"="+p.value)
		}
	}
	return strings.Join(parts, " ")
}

// transports are those that can be asked for.
func transports() []string { return []string{"usb", "sata", "nvme", "sas", "virtio", "mmc", "scsi"} }

func isTransport(s string) bool {
	for _, t := range transports() {
		if s == t {
			return true
		}
	}
	return false
}
