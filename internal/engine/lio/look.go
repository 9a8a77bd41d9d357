package lio

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"strconv"
	"strings"

	"github.com/esos-project/esos/internal/config"
)

// served is a device as the kernel has it.
type served struct {
	config.Device
	at      string // its directory
	address string // of the SCSI device that is passed on
	enabled bool
	ours    bool // it is complete
	foreign bool // somebody else made it
}

// find returns a device's directory, "" if there is none.
func (e *Engine) find(name string) (string, error) {
	hbas, err := e.hbas()
	if err != nil {
		return "", err
	}
	for _, hba := range hbas {
		at := path.Join("core", hba, name)
		if there, err := e.k.exists(at); err != nil || there {
			return at, err
		}
	}
	return "", nil
}

// hbas are the directories that storage objects are in.
func (e *Engine) hbas() ([]string, error) {
	names, err := e.k.ReadDir("core")
	if err != nil {
		return nil, fmt.Errorf("list LIO's storage objects: %w", err)
	}
	var hbas []string
	for _, name := range names {
		for _, p := range []string{"fileio_", "iblock_", "rd_mcp_", "pscsi_", "user_"} {
			if _, ok := numbered(name, p); ok {
				hbas = append(hbas, name)
			}
		}
	}
	return hbas, nil
}

// fileInfo and ramInfo are what info tells (fd_show_configfs_dev_params,
// rd_show_configfs_dev_params).
var (
	fileInfo  = regexp.MustCompile(`(?s)File: (.*)  Size: (\d+)  Mode: (\S+)(?: Async: (\d))?`)
	blockInfo = regexp.MustCompile(`(?s)UDEV PATH: (.*)  readonly: (\d)`)
	ramInfo   = regexp.MustCompile(`PAGES/PAGE_SIZE: (\d+)\*(\d+)(?:.*nullio: (\d))?`)
)

// look reads a device.
func (e *Engine) look(at string) (served, error) {
	d := served{at: at, Device: config.Device{Name: path.Base(at)}}
	r := reader{k: e.k, at: at}
	d.enabled = r.text("enable") == "1"
	info := r.text("info")
	var words alias
	text := r.text("alias")
	d.ours = json.Unmarshal([]byte(text), &words) == nil && d.enabled
	d.foreign = !d.ours && text != begun
	d.BlockSize = int(r.number("attrib/block_size"))
	d.Rotational = r.number("attrib/is_nonrot") == 0
	switch p := strings.TrimRight(path.Base(path.Dir(at)), "0123456789"); p {
	case "fileio_":
		d.Handler = config.FileIO
		if m := fileInfo.FindStringSubmatch(info); m != nil {
			d.Path, d.WriteThrough, d.ODirect = m[1], m[3] == "O_DSYNC", m[4] == "1"
			d.Size = bytesOf(m[2])
		}
		d.Provisioning = config.Thick
		if r.number("attrib/emulate_tpu") == 1 {
			d.Provisioning = config.Thin
		}
	case "iblock_":
		d.Handler = config.BlockIO
		if m := blockInfo.FindStringSubmatch(info); m != nil {
			d.Path, d.ReadOnly = m[1], m[2] == "1"
		}
		if fi, err := e.stores.Files.Stat(d.Path); err == nil {
			d.Size = config.Size(fi.Size)
		}
	case "rd_mcp_":
		d.Handler = config.Memory
		if m := ramInfo.FindStringSubmatch(info); m != nil {
			d.Size = bytesOf(m[1]) * bytesOf(m[2])
			if m[3] == "1" {
				d.Handler = config.NullIO
			}
		}
		d.WriteThrough = r.number("attrib/emulate_write_cache") == 0
	case "pscsi_":
		e.lookPassThrough(&d, info, words)
		return d, r.failed(d.Name)
	default:
		d.Handler = config.Handler(strings.TrimSuffix(p, "_")) // one of the kernel's that we have no word for
	}
	serial := strings.TrimPrefix(r.text("wwn/vpd_unit_serial"), serialPrefix)
	d.Identity = config.Identity{
		Serial: serial, Vendor: r.text("wwn/vendor_id"), Product: r.text("wwn/product_id"), Revision: r.text("wwn/revision"),
		NAA: naaOf(r.number("wwn/company_id"), serial),
	}
	if d.ours {
		d.Identity.T10ID = words.T10ID
		if e.stores.Resolve(words.Path) == d.Path {
			d.Path = words.Path
		}
	}
	return d, r.failed(d.Name)
}

// failed is what could not be read of a device.
func (r *reader) failed(name string) error {
	if r.err == nil {
		return nil
	}
	return fmt.Errorf("read device %s of LIO: %w", name, r.err)
}

func bytesOf(text string) config.Size {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0
	}
	return config.Size(n)
}

// reader reads settings of one object and keeps the first error. What a kernel
// does not have is empty.
type reader struct {
	k   tree
	at  string
	err error
}

func (r *reader) text(file string) string {
	v, err := r.k.read(path.Join(r.at, file))
	if err != nil && !errors.Is(err, fs.ErrNotExist) && r.err == nil {
		r.err = err
	}
	return v
}

func (r *reader) number(file string) uint64 {
	v, err := r.k.number(path.Join(r.at, file))
	if err != nil && !errors.Is(err, fs.ErrNotExist) && r.err == nil {
		r.err = err
	}
	return v
}
