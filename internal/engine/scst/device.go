package scst

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/engine"
	"github.com/esos-project/esos/internal/host"
)

// deviceWords are where devices are as they were put, by name. One without
// words is somebody else's.
const deviceWords = "devices"

// wordsOfDevice are those of a device. They are there before it is, and say that it is
// whole at the end.
type wordsOfDevice struct {
	Device config.Device `json:"device"`
	Whole  bool          `json:"whole"`
}

// PutDevice implements engine.Engine. A file that is shorter than asked is
// grown; a missing one is refused, since it is lost rather than new.
func (e *Engine) PutDevice(ctx context.Context, d config.Device) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := e.putDevice(ctx, d.WithDefaults()); err != nil {
		return fmt.Errorf("put device %s: %w", d.Name, err)
	}
	return nil
}

func (e *Engine) putDevice(ctx context.Context, d config.Device) error {
	if err := deviceProblems(d).join(); err != nil {
		return err
	}
	if d.Handler.PassThrough() {
		return e.putPassThrough(ctx, d)
	}
	have, err := e.look(ctx, d.Name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return e.createDevice(ctx, d)
	case err != nil:
		return err
	case have.ours || len(e.fixedDifferences(have.Device, d)) == 0:
		if err := e.changeDevice(ctx, have, d); err != nil {
			return err
		}
		return e.finish(ctx, d, false)
	case have.foreign:
		return fmt.Errorf("there is a device of that name already, which somebody else made (%s of it differ); remove it there, or give this one another name",
			strings.Join(e.fixedDifferences(have.Device, d), ", "))
	}
	if user, err := e.userOf(d.Name); err != nil {
		return err
	} else if user != "" {
		return fmt.Errorf("it was not finished, and is %s all the same; unmap it first", user)
	}
	// It was never finished: nothing leads to it, so that it is begun anew.
	if err := e.remove(ctx, have.handler, d.Name); err != nil {
		return fmt.Errorf("clear away what is there of that name, which was not finished: %w", err)
	}
	return e.createDevice(ctx, d)
}

// parameter is one of add_device. A device that SCST makes without it is as if
// it had the value fallback.
type parameter struct{ key, value, fallback string }

// createParameters are those of a device. Access states never close its store:
// bind_alua_state would (vdev_on_alua_state_change_start), and a group with a
// target of the peer would not open it again.
func (e *Engine) createParameters(d config.Device) []parameter {
	var all []parameter
	switch d.Handler {
	case config.FileIO, config.BlockIO:
		all = append(all, parameter{"filename", e.stores.Resolve(d.Path), ""}, parameter{"write_through", digit(d.WriteThrough), "0"},
			parameter{"o_direct", digit(d.ODirect), "0"}, parameter{"nv_cache", "0", "0"}, parameter{"bind_alua_state", "0", "0"})
		if d.Handler == config.FileIO {
			all = append(all, parameter{"thin_provisioned", digit(d.Provisioning == config.Thin), "0"})
		}
	case config.NullIO:
		all = append(all, parameter{"size", strconv.FormatInt(int64(d.Size), 10), ""})
	}
	if d.Handler == config.CDROM {
		return all
	}
	all = append(all, parameter{"blocksize", strconv.Itoa(d.BlockSize), "512"}, parameter{"read_only", digit(d.ReadOnly), "0"},
		parameter{"removable", digit(d.Removable), "0"}, parameter{"rotational", digit(d.Rotational), "1"})
	if d.Identity.T10ID != "" { // an attribute too, where SCST does not take it here
		all = append(all, parameter{"t10_dev_id", d.Identity.T10ID, d.Identity.T10ID})
	}
	return all
}

// request is what add_device is asked, with parameters that this SCST says it
// has.
func (a abilities) request(name string, all []parameter) (string, error) {
	var wanted []string
	for _, p := range all {
		if !slices.Contains(a.parameters, p.key) {
			if p.value == p.fallback {
				continue
			}
			return "", fmt.Errorf("the SCST that runs has no create parameter %s for this handler (it has %s), so %s cannot be %s; a newer SCST, or engine: native, has it",
				p.key, strings.Join(a.parameters, ", "), p.key, p.value)
		}
		wanted = append(wanted, p.key+"="+p.value)
	}
	return strings.TrimSpace("add_device " + name + " " + strings.Join(wanted, "; ")), nil
}

func (e *Engine) createDevice(ctx context.Context, d config.Device) error {
	fi, err := e.stores.Fit(ctx, d)
	if err != nil {
		return err
	}
	if err := e.refuseTwice(ctx, d, fi); err != nil {
		return err
	}
	at := path.Join("handlers", string(d.Handler))
	a, err := e.handler(ctx, d.Handler)
	if err != nil {
		return err
	}
	text, err := a.request(d.Name, e.createParameters(d))
	if err != nil {
		return err
	}
	if err := e.keepReservations(); err != nil { // add_device fails without the directory
		return err
	}
	if err := e.words.Put(deviceWords, d.Name, wordsOfDevice{Device: d}); err != nil {
		return err
	}
	if err := e.k.write(ctx, path.Join(at, "mgmt"), text); err != nil {
		return fmt.Errorf("have SCST open it: %w (is it mounted, part of an array or volume group, or served by somebody else?)", err)
	}
	if d.Handler == config.CDROM && d.Path != "" {
		if err := e.k.set(ctx, path.Join("devices", d.Name, "filename"), e.stores.Resolve(d.Path)); err != nil {
			return fmt.Errorf("insert the medium: %w", err)
		}
	}
	if err := e.setIdentity(ctx, d); err != nil {
		return err
	}
	e.stores.Made(d, fi)
	return e.finish(ctx, d, true)
}

// finish lets a device that is whole join its group, and takes note of it.
func (e *Engine) finish(ctx context.Context, d config.Device, fresh bool) error {
	if err := e.putDeviceAttributes(ctx, d, fresh); err != nil {
		return err
	}
	if err := e.joinGroups(ctx, d.Name); err != nil {
		return err
	}
	return e.words.Put(deviceWords, d.Name, wordsOfDevice{d, true})
}

// handler reads what a handler of SCST can do, and has its module loaded.
func (e *Engine) handler(ctx context.Context, h config.Handler) (abilities, error) {
	at := path.Join("handlers", string(h))
	there, err := e.k.exists(at)
	if err != nil {
		return abilities{}, err
	}
	if !there && e.opt.Load != nil {
		if err := e.opt.Load(ctx, handlerModule(h)); err != nil {
			return abilities{}, fmt.Errorf("have the kernel load SCST's handler %s: %w", h, err)
		}
	}
	a, err := e.k.abilities(ctx, at)
	if errors.Is(err, fs.ErrNotExist) {
		return a, fmt.Errorf("the SCST that runs has no handler %s: is its module %s there? %w", h, handlerModule(h), err)
	}
	return a, err
}

// handlerModule is the module that has a handler.
func handlerModule(h config.Handler) string {
	switch h {
	case config.FileIO, config.BlockIO, config.NullIO, config.CDROM:
		return "scst_vdisk"
	}
	return "scst_" + strings.TrimPrefix(string(h), "dev_")
}

// setIdentity sets what initiators know a device by.
func (e *Engine) setIdentity(ctx context.Context, d config.Device) error {
	id := d.Identity
	for _, s := range []struct{ file, value string }{
		{"t10_dev_id", id.T10ID}, {"usn", id.Serial}, {"naa_id", strings.ToLower(id.NAA)},
		{"t10_vend_id", id.Vendor}, {"prod_id", id.Product}, {"prod_rev_lvl", id.Revision},
	} {
		if s.value == "" {
			continue
		}
		file := path.Join("devices", d.Name, s.file)
		now, err := e.k.read(ctx, file)
		if err == nil && strings.TrimPrefix(now, "0x") != s.value {
			err = e.k.write(ctx, file, s.value)
		}
		if errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("the SCST that runs has no attribute %s for handler %s: %w; a newer SCST, or engine: native, has it", s.file, d.Handler, err)
		}
		if err != nil {
			return fmt.Errorf("set %s to %q: %w", s.file, s.value, err)
		}
	}
	return nil
}

// refuseTwice refuses a file that another device serves.
func (e *Engine) refuseTwice(ctx context.Context, d config.Device, fi host.FileInfo) error {
	read := func() error { _, err := e.devices(ctx); return err }
	return e.stores.RefuseTwice(d, fi, read, func(name string) (bool, error) {
		return e.k.exists(path.Join("devices", name))
	})
}

// changeDevice does what can be done while a device is served: it grows, or a
// drive gets another medium.
func (e *Engine) changeDevice(ctx context.Context, have served, want config.Device) error {
	if fixed := e.fixedDifferences(have.Device, want); len(fixed) > 0 {
		return fmt.Errorf("%s of a device cannot change while it is served; delete the device and create it anew", strings.Join(fixed, ", "))
	}
	at := path.Join("devices", want.Name)
	if want.Handler == config.CDROM {
		if err := e.k.set(ctx, path.Join(at, "filename"), e.stores.Resolve(want.Path)); err != nil {
			return fmt.Errorf("change the medium: %w", err)
		}
		return nil
	}
	fi, err := e.stores.Fit(ctx, want)
	if err != nil {
		return err
	}
	switch {
	case want.Handler == config.NullIO && want.Size < have.Size:
		return fmt.Errorf("a device cannot become smaller (%d to %d bytes)", have.Size, want.Size)
	case want.Handler == config.NullIO:
		return e.k.set(ctx, path.Join(at, "size"), strconv.FormatInt(int64(want.Size), 10))
	case fi.Size <= int64(have.Size):
		return nil // a store that is longer is served whole: cutting it would destroy data
	}
	// SCST looks again, and tells initiators (CAPACITY DATA HAS CHANGED).
	return e.k.write(ctx, path.Join(at, "resync_size"), "1")
}

// fixedDifferences names what differs and cannot change in a device that is
// served.
func (e *Engine) fixedDifferences(have, want config.Device) []string {
	want.Identity.NAA = strings.ToLower(want.Identity.NAA)
	for _, f := range []struct{ have, want *string }{
		{&have.Identity.Serial, &want.Identity.Serial}, {&have.Identity.NAA, &want.Identity.NAA}, {&have.Identity.T10ID, &want.Identity.T10ID},
	} {
		if *f.want == "" {
			*f.have = "" // it may be what SCST makes it
		}
	}
	have.Path, want.Path = e.stores.Resolve(have.Path), e.stores.Resolve(want.Path)
	if want.Handler == config.CDROM {
		have.Path = want.Path // another medium is a change
	}
	return engine.FixedDifferences(have, want)
}

// DeleteDevice implements engine.Engine. The file or block device stays. SCST
// would delete a device that LUNs lead to, and drop those with it; here that
// is refused.
func (e *Engine) DeleteDevice(ctx context.Context, name string) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := e.dropDevice(ctx, name); err != nil {
		return fmt.Errorf("delete device %s: %w", name, err)
	}
	return nil
}

func (e *Engine) dropDevice(ctx context.Context, name string) error {
	inKernel, err := e.kernelName(name)
	if err != nil {
		return err
	}
	to, err := e.k.Readlink(path.Join("devices", inKernel, "handler"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err == nil {
		user, err := e.userOf(inKernel)
		if err != nil {
			return err
		}
		if user != "" {
			return fmt.Errorf("it is %s; unmap it first", user)
		}
		if err := e.remove(ctx, path.Base(to), inKernel); err != nil {
			return err
		}
	}
	e.stores.Gone(name)
	if err := e.words.Remove(deviceAttributes, name); err != nil {
		return err
	}
	if err := e.words.Remove(scsiWords, name); err != nil {
		return err
	}
	return e.words.Remove(deviceWords, name)
}

func (e *Engine) remove(ctx context.Context, handler, name string) error {
	return e.k.write(ctx, path.Join("handlers", handler, "mgmt"), "del_device "+name)
}
