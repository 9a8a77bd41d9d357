package scst

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/host/kernfs/words"
)

// SCSI devices that are passed on have the name HOST:CHANNEL:ID:LUN in SCST,
// and are there before a handler is given to them. Their words say which one
// it was when it was given.

// scsiWords are those of devices that are passed on.
const scsiWords = "scsi"

type passed struct {
	Device  config.Device `json:"device"`
	Address string        `json:"address"` // HOST:CHANNEL:ID:LUN
}

// passedThrough are the words of devices that are passed on, by address.
func (e *Engine) passedThrough() (map[string]passed, error) {
	all, err := words.All[passed](e.words, scsiWords)
	if err != nil {
		return nil, err
	}
	out := map[string]passed{}
	for _, p := range all {
		out[p.Address] = p
	}
	return out, nil
}

// kernelName is the name of a device in SCST.
func (e *Engine) kernelName(name string) (string, error) {
	var p passed
	known, err := e.words.Get(scsiWords, name, &p)
	if err != nil || !known {
		return name, err
	}
	return p.Address, nil
}

// nameOf is the name that a device of SCST has in the document.
func (e *Engine) nameOf(inKernel string) (string, error) {
	if _, is := config.ParseHCIL(inKernel); !is {
		return inKernel, nil
	}
	all, err := e.passedThrough()
	if err != nil {
		return "", err
	}
	if p, ok := all[inKernel]; ok {
		return p.Device.Name, nil
	}
	return inKernel, nil
}

func (e *Engine) putPassThrough(ctx context.Context, d config.Device) error {
	real, err := e.opt.SCSI.Find(d.Path)
	if err != nil {
		return err
	}
	a := real.Address
	all, err := e.passedThrough()
	if err != nil {
		return err
	}
	if other, taken := all[a]; taken && other.Device.Name != d.Name {
		return fmt.Errorf("%s is already served as device %s", d.Path, other.Device.Name)
	}
	if was, err := e.kernelName(d.Name); err != nil {
		return err
	} else if was != d.Name && was != a {
		if _, err := e.k.Readlink(path.Join("devices", was, "handler")); err == nil {
			return fmt.Errorf("path of a device cannot change while it is served (it is %s, and %s is %s now); delete the device and create it anew", was, d.Path, a)
		} else if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	if there, err := e.k.exists(path.Join("devices", a)); err != nil {
		return err
	} else if !there {
		return fmt.Errorf("SCST sees no SCSI device %s (%s): is it attached to this machine?", a, d.Path)
	}
	fresh := false
	to, err := e.k.Readlink(path.Join("devices", a, "handler"))
	switch {
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return err
	case err == nil && path.Base(to) != string(d.Handler):
		return fmt.Errorf("handler of a device cannot change while it is served (%s has %s); delete the device and create it anew", a, path.Base(to))
	case err != nil:
		fresh = true
		if _, err := e.handler(ctx, d.Handler); err != nil {
			return err
		}
		if err := e.k.write(ctx, path.Join("handlers", string(d.Handler), "mgmt"), "add_device "+a); err != nil {
			return fmt.Errorf("have SCST pass %s on: %w (it is a SCSI device of type %d; is that the kind which %s is for?)", a, err, real.Type, d.Handler)
		}
	}
	if err := e.words.Put(scsiWords, d.Name, passed{d, a}); err != nil {
		return err
	}
	if err := e.putDeviceAttributes(ctx, d, fresh); err != nil {
		return err
	}
	return e.joinGroups(ctx, d.Name)
}

// lookPassThrough reads a SCSI device; false if no handler has it.
func (e *Engine) lookPassThrough(address string, all map[string]passed) (served, bool, error) {
	to, err := e.k.Readlink(path.Join("devices", address, "handler"))
	if errors.Is(err, fs.ErrNotExist) {
		return served{}, false, nil
	}
	if err != nil {
		return served{}, false, fmt.Errorf("read device %s of SCST: %w", address, err)
	}
	d := served{handler: path.Base(to), foreign: true, Device: config.Device{Name: address, Handler: config.Handler(path.Base(to)), Path: address}}
	if p, ok := all[address]; ok && p.Device.Handler == d.Handler {
		d.Device, d.ours, d.foreign = p.Device, true, false
	}
	return d, true, nil
}
