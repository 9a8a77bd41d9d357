package lio

import (
	"errors"
	"fmt"
	"path"
	"regexp"

	"golang.org/x/sys/unix"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/host"
)

// SCSI finds SCSI devices of this machine (host.SCSI).
type SCSI interface {
	// Find returns the device that a path, or HOST:CHANNEL:ID:LUN, leads to.
	Find(path string) (host.SCSIDevice, error)
}

// passHandler is what passes on devices of a peripheral device type (SPC-5
// 6.6.2); "" for types that LIO has not been made for.
func passHandler(kind int) config.Handler {
	switch kind {
	case 0x00, 0x14: // disks, and zoned ones
		return config.PassDisk
	case 0x01:
		return config.PassTape
	case 0x05:
		return config.PassCDROM
	case 0x08:
		return config.PassChanger
	}
	return ""
}

// passThroughProblems says which SCSI devices LIO does not pass on.
func passThroughProblems(d config.Device) []error {
	var p problems
	for _, kind := range []int{0x00, 0x01, 0x05, 0x08} {
		if passHandler(kind) == d.Handler {
			return nil
		}
	}
	p.add(true, "LIO passes on disks, tapes, changers and CD drives, and has no handler %q%s", d.Handler, useSCST)
	return p
}

// deviceGroupProblems says which devices cannot be in a device group: LIO
// passes the access states of the SCSI device on as well
// (TRANSPORT_FLAG_PASSTHROUGH_ALUA).
func deviceGroupProblems(g config.DeviceGroup, devices []config.Device) []error {
	var p problems
	for _, d := range devices {
		for _, name := range g.Devices {
			p.add(name == d.Name && d.Handler.PassThrough(),
				"device %s is passed on as it is, and LIO gives it no access states; take it out of the group, or use engine: scst", name)
		}
	}
	return p
}

// createPassThrough makes a storage object that is a SCSI device of this
// machine. Nothing of it is set: it says itself what it is.
func (e *Engine) createPassThrough(d config.Device) error {
	if errs := passThroughProblems(d); len(errs) > 0 {
		return errors.Join(errs...)
	}
	real, err := e.opt.SCSI.Find(d.Path)
	if err != nil {
		return err
	}
	if have := passHandler(real.Type); have != d.Handler {
		if have == "" {
			return fmt.Errorf("%s is a SCSI device of type %d, which LIO does not pass on%s", d.Path, real.Type, useSCST)
		}
		return fmt.Errorf("%s is a device for handler %s (%s %s)", d.Path, have, real.Vendor, real.Model)
	}
	at, ok := config.ParseHCIL(real.Address)
	if !ok {
		return fmt.Errorf("%s has the address %q, which is no HOST:CHANNEL:ID:LUN", d.Path, real.Address)
	}
	if err := e.refusePassedTwice(d, real.Address); err != nil {
		return err
	}
	hba := "core/pscsi_0"
	object := path.Join(hba, d.Name)
	for _, dir := range []string{hba, object} {
		if err := e.k.mkdir(dir); err != nil {
			return err
		}
	}
	control := fmt.Sprintf("scsi_host_id=%d,scsi_channel_id=%d,scsi_target_id=%d,scsi_lun_id=%d", at.Host, at.Channel, at.ID, at.LUN)
	if err := e.k.WriteFile(path.Join(object, "control"), control); err != nil {
		return err
	}
	// A disk is opened by this path, so that nobody else writes it
	// (pscsi_create_type_disk); others must have it all the same.
	if err := e.k.set(path.Join(object, "udev_path"), real.Node); err != nil {
		return err
	}
	err = e.k.set(path.Join(object, "enable"), "1")
	switch {
	case errors.Is(err, unix.ENODEV):
		return fmt.Errorf("have the kernel pass on %s (%s): %w (it is gone)", d.Path, real.Address, err)
	case err != nil:
		return fmt.Errorf("have the kernel pass on %s (%s): %w (is it mounted, part of an array or volume group, or served by somebody else?)", d.Path, real.Address, err)
	}
	if err := e.beginAttributes(object, d); err != nil {
		return err
	}
	return e.setAlias(object, d)
}

// refusePassedTwice refuses a SCSI device that is passed on already: of tapes
// and changers the kernel would not notice.
func (e *Engine) refusePassedTwice(d config.Device, address string) error {
	devices, err := e.devices()
	if err != nil {
		return err
	}
	for _, other := range devices {
		if other.address == address && other.Name != d.Name {
			return fmt.Errorf("%s (%s) is already served as device %s", d.Path, address, other.Name)
		}
	}
	return nil
}

// passInfo is what info tells of where a SCSI device is
// (pscsi_show_configfs_dev_params).
var passInfo = regexp.MustCompile(`Channel ID: (\d+) Target ID: (\d+) LUN: (\d+) Host ID: (\d+)`)

// lookPassThrough reads a device that is passed on.
func (e *Engine) lookPassThrough(d *served, info string, words alias) {
	d.Handler, d.Identity, d.Rotational, d.BlockSize = "pscsi", config.Identity{}, false, 0
	m := passInfo.FindStringSubmatch(info)
	if m == nil {
		return
	}
	d.address = m[4] + ":" + m[1] + ":" + m[2] + ":" + m[3]
	d.Path = d.address
	if real, err := e.opt.SCSI.Find(d.address); err == nil && passHandler(real.Type) != "" {
		d.Handler = passHandler(real.Type)
	} else if words.Handler != "" {
		d.Handler = words.Handler // it is gone meanwhile
	}
	if !d.ours {
		return
	}
	if real, err := e.opt.SCSI.Find(words.Path); err != nil || real.Address == d.address {
		d.Path = words.Path
	}
}
