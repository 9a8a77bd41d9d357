package native

import (
	"context"
	"fmt"
	"os"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/engine/native/control"
	"github.com/esos-project/esos/internal/host"
)

// PutDevice implements engine.Engine. An image file must exist: making one is
// the work of the layer of image files. One that is shorter than asked is
// grown, and the initiators are told; one that is longer is served whole, since
// cutting it would destroy data. Another medium in a CD-ROM drive is a
// change of its path; "" ejects. What else makes a device another one
// (handler, path, block size, ...) is refused: it takes a deletion.
func (e *Engine) PutDevice(ctx context.Context, d config.Device) error {
	d = d.WithDefaults()
	if d.Handler == config.FileIO && d.Size > 0 {
		if _, err := e.stores.Fit(ctx, d); err != nil {
			return fmt.Errorf("put device %s: %w", d.Name, err)
		}
	}
	wire := deviceOut(d)
	var served control.Device
	err := e.change(ctx, func(c *control.Client) (err error) {
		var have *control.Device
		if h, ok := e.wanted.device(d.Name); ok {
			have = &h
		}
		served, err = e.serveDevice(ctx, c, wire, have)
		return err
	}, func(w *wanted) { w.putDevice(served) })
	if err != nil {
		return fmt.Errorf("put device %s: %w", d.Name, err)
	}
	if d.Handler == config.FileIO && config.Size(served.Size) < d.Size {
		return fmt.Errorf("put device %s: it has %d bytes instead of %d: %s is not the file that is served any more (was it replaced?)",
			d.Name, served.Size, int64(d.Size), d.Path)
	}
	return nil
}

// serveDevice has the process serve d; have is what it serves by that name
// already. The file is opened when the process does not have it yet.
func (e *Engine) serveDevice(ctx context.Context, c *control.Client, d control.Device, have *control.Device) (control.Device, error) {
	var f *os.File
	var err error
	fresh := have == nil || config.Handler(d.Handler) == config.CDROM && have.Path != d.Path
	if fresh && d.Path != "" {
		if f, err = e.open(d); err != nil {
			return control.Device{}, err
		}
		defer f.Close()
	}
	return c.PutDevice(ctx, d, f)
}

// open opens what holds the bytes of d.
func (e *Engine) open(d control.Device) (*os.File, error) {
	path := e.stores.Resolve(d.Path)
	access := host.Access{ReadOnly: d.ReadOnly, Direct: d.ODirect}
	switch config.Handler(d.Handler) {
	case config.FileIO:
		return host.OpenImage(path, access)
	case config.BlockIO:
		// Another node, or a program of this one, may use the device, too:
		// nobody may be told what it held once.
		access.Direct = true
		return host.OpenBlock(path, access)
	case config.CDROM:
		return host.OpenMedium(path)
	}
	return nil, fmt.Errorf("handler %s has no path", d.Handler)
}

// DeleteDevice implements engine.Engine. The file or block device stays.
func (e *Engine) DeleteDevice(ctx context.Context, name string) error {
	err := e.change(ctx,
		func(c *control.Client) error { return c.DeleteDevice(ctx, name) },
		func(w *wanted) { w.deleteDevice(name) })
	if err != nil {
		return fmt.Errorf("delete device %s: %w", name, err)
	}
	return nil
}
