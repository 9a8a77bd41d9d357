package lio

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/engine"
	"github.com/esos-project/esos/internal/host"
)

// pageSize is what a RAM disk of LIO is counted in.
const pageSize = 4096

// plugins are LIO's backends by our handlers.
func plugin(h config.Handler) string {
	switch h {
	case config.FileIO:
		return "fileio"
	case config.BlockIO:
		return "iblock"
	case config.NullIO, config.Memory:
		return "rd_mcp"
	}
	return ""
}

// alias is what a storage object's alias file holds of a device that is ours:
// the words that the kernel has no file for. It is written last, so that a
// device without it is one that was never finished, or somebody else's.
type alias struct {
	Path    string         `json:"p,omitempty"` // as it was declared
	T10ID   string         `json:"t,omitempty"`
	Handler config.Handler `json:"h,omitempty"` // of a SCSI device that is passed on
}

// begun is the alias of a device that is being made, so that nobody takes one
// that was cut off for somebody else's.
const begun = "esos: not finished"

// mostAlias is what fits into an alias file (SE_DEV_ALIAS_LEN).
const mostAlias = 511

func aliasOf(d config.Device) (string, error) {
	a := alias{Path: d.Path, T10ID: d.Identity.T10ID}
	if d.Handler.PassThrough() {
		a.Handler = d.Handler
	}
	words, err := json.Marshal(a)
	if err == nil && len(words) > mostAlias {
		err = fmt.Errorf("LIO has no room for its path and t10_id (%d bytes, at most %d); make them shorter, or use engine: native", len(words), mostAlias)
	}
	return string(words), err
}

// setAlias says that a device is complete.
func (e *Engine) setAlias(at string, d config.Device) error {
	words, err := aliasOf(d)
	if err != nil {
		return err
	}
	return e.k.set(path.Join(at, "alias"), words)
}

// PutDevice implements engine.Engine. The kernel makes image files that are
// missing and cuts nothing; here a missing one is refused, since it is lost
// rather than new. One that is shorter than asked is grown.
func (e *Engine) PutDevice(ctx context.Context, d config.Device) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := e.putDevice(ctx, d.WithDefaults()); err != nil {
		return fmt.Errorf("put device %s: %w", d.Name, err)
	}
	return nil
}

func (e *Engine) putDevice(ctx context.Context, d config.Device) error {
	at, err := e.find(d.Name)
	if err != nil {
		return err
	}
	if at != "" {
		have, err := e.look(at)
		if err != nil && have.enabled {
			return err
		}
		if have.foreign && have.enabled && len(fixedDifferences(have.Device, d)) == 0 {
			if err := e.takeOver(at, d); err != nil {
				return err
			}
			have.ours = true
		}
		if have.ours {
			if err := e.changeDevice(ctx, have, d); err != nil {
				return err
			}
			return e.putDeviceAttributes(at, d)
		}
		// It was never finished: nothing leads to it, so that it is begun anew.
		if err := e.dropDevice(at); err != nil {
			return fmt.Errorf("clear away what is there of that name, which is not ESOS's: %w", err)
		}
	}
	return e.createDevice(ctx, d)
}

// takeOver makes a device ours that somebody else made just as it is declared.
func (e *Engine) takeOver(at string, d config.Device) error {
	words, err := json.Marshal(alias{Path: d.Path, T10ID: d.Identity.T10ID})
	if err == nil && len(words) <= mostAlias {
		err = e.k.set(path.Join(at, "alias"), string(words))
	}
	return err
}

func (e *Engine) createDevice(ctx context.Context, d config.Device) error {
	if d.Handler.PassThrough() {
		return e.createPassThrough(d)
	}
	if errs := deviceProblems(d); len(errs) > 0 {
		return errors.Join(errs...)
	}
	fi, err := e.stores.Fit(ctx, d)
	if err != nil {
		return err
	}
	if err := e.refuseTwice(d, fi); err != nil {
		return err
	}
	if _, err := aliasOf(d); err != nil {
		return err
	}
	oui, err := company(d.Identity)
	if err != nil {
		return err
	}
	hba := "core/" + plugin(d.Handler) + "_0"
	at := path.Join(hba, d.Name)
	if err := e.k.mkdir(hba); err != nil {
		return err
	}
	if err := e.k.mkdir(at); err != nil {
		return err
	}
	if err := e.k.set(path.Join(at, "alias"), begun); err != nil {
		return err
	}
	if err := e.k.WriteFile(path.Join(at, "control"), e.control(d, fi.Size)); err != nil {
		return err
	}
	if d.Path != "" { // for people who look
		if err := e.k.set(path.Join(at, "udev_path"), e.stores.Resolve(d.Path)); err != nil {
			return err
		}
	}
	if err := e.k.set(path.Join(at, "enable"), "1"); err != nil {
		return fmt.Errorf("have the kernel open it: %w (is it mounted, part of an array or volume group, or served by somebody else?)", err)
	}
	// After enable, which sets the block size (target_configure_device).
	set := []setting{
		{"attrib/block_size", strconv.Itoa(d.BlockSize)},
		{"attrib/is_nonrot", digit(!d.Rotational)},
		{"wwn/vendor_id", d.Identity.Vendor},
		{"wwn/product_id", d.Identity.Product},
		{"wwn/revision", d.Identity.Revision},
		{"wwn/company_id", fmt.Sprintf("%#08x", oui)},
	}
	switch d.Handler {
	case config.FileIO:
		// UNMAP only: a WRITE SAME that unmaps and comes without data passes
		// the kernel's check whether its LUN is read-only.
		set = append(set, setting{"attrib/emulate_tpu", digit(d.Provisioning == config.Thin)}, setting{"attrib/emulate_tpws", "0"})
	case config.NullIO, config.Memory:
		set = append(set, setting{"attrib/emulate_write_cache", digit(!d.WriteThrough)})
	}
	for _, s := range set {
		if err := e.k.set(path.Join(at, s.file), s.value); err != nil {
			return unsettable(s.file, err)
		}
	}
	if err := e.setSerial(at, d.Identity.Serial); err != nil {
		return err
	}
	if err := e.restoreReservations(at, d.Identity.Serial); err != nil {
		return err
	}
	if err := e.applyDeviceGroups(d.Name, at); err != nil {
		return err
	}
	if err := e.beginAttributes(at, d); err != nil {
		return err
	}
	if err := e.setAlias(at, d); err != nil {
		return err
	}
	e.stores.Made(d, fi)
	return nil
}

// unsettable explains a setting that the kernel does not take.
func unsettable(file string, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("this kernel's LIO has no %s: %w; a newer kernel, or engine: native, has it", file, err)
	}
	return fmt.Errorf("set %s: %w", file, err)
}

// setSerial sets the unit serial, whose file reads otherwise than it is written.
func (e *Engine) setSerial(at, serial string) error {
	file := path.Join(at, "wwn/vpd_unit_serial")
	now, err := e.k.read(file)
	if err != nil || strings.TrimPrefix(now, serialPrefix) == serial {
		return err
	}
	return e.k.WriteFile(file, serial)
}

// control is what a storage object is told before it is enabled.
func (e *Engine) control(d config.Device, size int64) string {
	switch d.Handler {
	case config.FileIO:
		text := fmt.Sprintf("fd_dev_name=%s,fd_dev_size=%d", e.stores.Resolve(d.Path), whole(size, d.BlockSize))
		if !d.WriteThrough {
			text += ",fd_buffered_io=1"
		}
		if d.ODirect { // asynchronous I/O of LIO is direct (fd_execute_rw_aio)
			text += ",fd_async_io=1"
		}
		return text
	case config.BlockIO:
		return fmt.Sprintf("udev_path=%s,readonly=%s", e.stores.Resolve(d.Path), digit(d.ReadOnly))
	}
	return fmt.Sprintf("rd_pages=%d,rd_nullio=%s", d.Size/pageSize, digit(d.Handler == config.NullIO))
}

// whole rounds a size down to blocks.
func whole(size int64, block int) int64 { return size - size%int64(block) }

func digit(b bool) string {
	if b {
		return "1"
	}
	return "0"
}

// refuseTwice refuses a file that another device serves.
func (e *Engine) refuseTwice(d config.Device, fi host.FileInfo) error {
	read := func() error { _, err := e.devices(); return err }
	return e.stores.RefuseTwice(d, fi, read, func(name string) (bool, error) {
		at, err := e.find(name)
		return at != "", err
	})
}

// devices reads all devices, and takes note of their files.
func (e *Engine) devices() ([]served, error) {
	hbas, err := e.hbas()
	if err != nil {
		return nil, err
	}
	var out []served
	var all []config.Device
	for _, hba := range hbas {
		names, err := e.k.list(path.Join("core", hba))
		if err != nil {
			return nil, err
		}
		for _, name := range names {
			if name == "hba_info" || name == "hba_mode" {
				continue
			}
			d, err := e.look(path.Join("core", hba, name))
			if !d.enabled {
				continue // never finished: it serves nothing
			}
			if err != nil {
				return nil, err
			}
			out, all = append(out, d), append(all, d.Device)
		}
	}
	e.stores.Devices(all)
	return out, nil
}

// noGrow says why a memory disk does not grow: its pages are allocated once
// (rd_configure_device).
const noGrow = "LIO cannot grow a memory disk; remove it and make a new one, or use engine: native, which can"

// changeDevice does what can be done while a device is served: it grows.
func (e *Engine) changeDevice(ctx context.Context, have served, want config.Device) error {
	if fixed := fixedDifferences(have.Device, want); len(fixed) > 0 {
		return fmt.Errorf("%s of a device cannot change while it is served; delete the device and create it anew", strings.Join(fixed, ", "))
	}
	if want.Handler.PassThrough() {
		return nil
	}
	fi, err := e.stores.Fit(ctx, want)
	if err != nil {
		return err
	}
	switch {
	case want.Handler == config.FileIO:
		// An image file that is longer is served whole: cutting it would destroy data.
		size := whole(fi.Size, want.BlockSize)
		if size <= int64(have.Size) {
			return nil
		}
		return e.k.WriteFile(path.Join(have.at, "control"), fmt.Sprintf("fd_dev_size=%d", size))
	case plugin(want.Handler) != "rd_mcp" || want.Size == have.Size:
		return nil
	case want.Size < have.Size:
		return fmt.Errorf("a device cannot become smaller (%d to %d bytes)", have.Size, want.Size)
	case want.Handler == config.Memory:
		return errors.New(noGrow)
	}
	return e.k.WriteFile(path.Join(have.at, "control"), fmt.Sprintf("rd_pages=%d", want.Size/pageSize))
}

// fixedDifferences names what differs and cannot change in a device that is served.
func fixedDifferences(have, want config.Device) []string {
	want.Identity.NAA = strings.ToLower(want.Identity.NAA)
	if have.Identity.T10ID == "" { // of somebody else's: the kernel keeps none
		want.Identity.T10ID = ""
	}
	return engine.FixedDifferences(have, want)
}

// DeleteDevice implements engine.Engine. The file or block device stays.
func (e *Engine) DeleteDevice(_ context.Context, name string) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	at, err := e.find(name)
	if err == nil && at != "" {
		err = e.deleteDevice(at)
	}
	if err != nil {
		return fmt.Errorf("delete device %s: %w", name, err)
	}
	e.stores.Gone(name)
	if err := e.words.Remove(deviceAttributes, name); err != nil {
		return fmt.Errorf("delete device %s: %w", name, err)
	}
	return nil
}

// dropDevice ends a storage object with its target port groups. One that is
// exported the kernel does not let go (EBUSY), and only then it is worth to
// look who uses it.
func (e *Engine) dropDevice(at string) error {
	err := e.k.rmdir(at)
	if errors.Is(err, unix.ENOTEMPTY) {
		groups, look := e.k.list(path.Join(at, "alua"))
		if look != nil {
			return look
		}
		for _, g := range groups {
			if g == defaultPortGroup {
				continue
			}
			if err := e.k.rmdir(path.Join(at, "alua", g)); err != nil {
				return err
			}
		}
		err = e.k.rmdir(at)
	}
	if !errors.Is(err, unix.EBUSY) {
		return err
	}
	user, look := e.userOf(at)
	switch {
	case look != nil:
		return errors.Join(err, look)
	case user == "":
		return fmt.Errorf("the kernel exports it still: %w", err)
	}
	return fmt.Errorf("it is %s; unmap it first", user)
}
