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
)

// served is a device as SCST has it.
type served struct {
	config.Device
	handler string // SCST's
	ours    bool   // it is ours, and whole
	foreign bool   // somebody else made it
}

// look reads a device; fs.ErrNotExist if there is none.
func (e *Engine) look(ctx context.Context, name string) (served, error) {
	at := path.Join("devices", name)
	to, err := e.k.Readlink(path.Join(at, "handler"))
	if err != nil {
		return served{}, fmt.Errorf("read device %s of SCST: %w", name, err)
	}
	d := served{handler: path.Base(to), Device: config.Device{Name: name, Handler: config.Handler(path.Base(to))}}
	r := reader{ctx: ctx, k: e.k, at: at}
	d.Path = r.text("filename")
	d.Size = config.Size(r.number("size"))
	d.BlockSize = int(r.number("blocksize"))
	d.WriteThrough, d.ODirect = r.is("write_through"), r.is("o_direct")
	d.ReadOnly, d.Removable, d.Rotational = r.is("read_only"), r.is("removable"), r.is("rotational")
	d.Identity = config.Identity{
		Serial: r.text("usn"), NAA: strings.TrimPrefix(r.text("naa_id"), "0x"), T10ID: r.text("t10_dev_id"),
		Vendor: r.text("t10_vend_id"), Product: r.text("prod_id"), Revision: r.text("prod_rev_lvl"),
	}
	switch d.Handler {
	case config.FileIO:
		d.Provisioning = config.Thick
		if r.is("thin_provisioned") {
			d.Provisioning = config.Thin
		}
	case config.CDROM: // which has no attributes for what it always is
		d.ReadOnly, d.Removable, d.Rotational, d.BlockSize = true, true, false, 2048
	}
	if r.err != nil {
		return d, fmt.Errorf("read device %s of SCST: %w", name, r.err)
	}
	var w wordsOfDevice
	known, err := e.words.Get(deviceWords, name, &w)
	if err != nil {
		return d, err
	}
	known = known && w.Device.Name == name && w.Device.Handler == d.Handler
	d.ours, d.foreign = known && w.Whole, !known
	d.say(w.Device, e.stores.Resolve)
	return d, nil
}

// say puts into the words that a device was put with what is the same in SCST.
func (d *served) say(w config.Device, resolve func(string) string) {
	if !d.ours {
		return
	}
	if resolve(w.Path) == d.Path {
		d.Path = w.Path
	}
	if strings.EqualFold(w.Identity.NAA, d.Identity.NAA) {
		d.Identity.NAA = w.Identity.NAA
	}
	for _, f := range []struct {
		now  *string
		said string
	}{{&d.Identity.Serial, w.Identity.Serial}, {&d.Identity.NAA, w.Identity.NAA}, {&d.Identity.T10ID, w.Identity.T10ID}} {
		if f.said == "" {
			*f.now = "" // nobody asked for it: it is what SCST made it
		}
	}
}

// devices reads all devices that a handler serves, and takes note of their
// files.
func (e *Engine) devices(ctx context.Context) ([]served, error) {
	names, err := e.k.list("devices")
	if err != nil {
		return nil, fmt.Errorf("list SCST's devices: %w", err)
	}
	var out []served
	var all []config.Device
	passed, err := e.passedThrough()
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		if _, isSCSI := config.ParseHCIL(name); isSCSI {
			d, there, err := e.lookPassThrough(name, passed)
			if err != nil {
				return nil, err
			}
			if there {
				out = append(out, d)
			}
			continue
		}
		d, err := e.look(ctx, name)
		if errors.Is(err, fs.ErrNotExist) {
			continue // it went in the meantime
		}
		if err != nil {
			return nil, err
		}
		out, all = append(out, d), append(all, d.Device)
	}
	e.stores.Devices(all)
	slices.SortFunc(out, func(a, b served) int { return strings.Compare(a.Name, b.Name) })
	return out, nil
}

// userOf says which LUN leads to a device, "" if none does. The copy manager
// has one of every device, which goes with it.
func (e *Engine) userOf(name string) (string, error) {
	exports, err := e.k.list(path.Join("devices", name, "exported"))
	if err != nil {
		return "", err
	}
	for _, x := range exports {
		to, err := e.k.Readlink(path.Join("devices", name, "exported", x))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return "", err
		}
		part := strings.Split(to, "/") // targets/DRIVER/TARGET[/ini_groups/GROUP]/luns/N
		switch {
		case len(part) > 1 && part[1] == copyManager:
		case len(part) == 7:
			return fmt.Sprintf("LUN %s of group %s of target %s", part[6], part[4], part[2]), nil
		case len(part) == 5:
			return fmt.Sprintf("LUN %s of target %s", part[4], part[2]), nil
		default:
			return "exported as " + to, nil
		}
	}
	return "", nil
}

// reader reads attributes of one object and keeps the first error. What this
// SCST does not have is empty.
type reader struct {
	ctx context.Context // of the one call that it belongs to
	k   *tree
	at  string
	err error
}

func (r *reader) text(file string) string {
	v, _, err := r.k.optional(r.ctx, path.Join(r.at, file))
	if err != nil && r.err == nil {
		r.err = err
	}
	return v
}

func (r *reader) is(file string) bool { return r.text(file) == "1" }

func (r *reader) number(file string) uint64 {
	text := r.text(file)
	if text == "" {
		return 0
	}
	n, err := strconv.ParseUint(text, 0, 64)
	if err != nil && r.err == nil {
		r.err = fmt.Errorf("read %s: %q is no number", path.Join(r.at, file), text)
	}
	return n
}
