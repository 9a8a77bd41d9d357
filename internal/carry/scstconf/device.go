package scstconf

import (
	"fmt"
	"hash/crc32"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"github.com/esos-project/esos/internal/carry"
	"github.com/esos-project/esos/internal/config"
)

// What a vdisk_nullio is where the file does not say: SCST's own size
// (VDISK_NULLIO_SIZE of scst_vdisk.c), and the least for one that only fills
// the place of LUN 0.
const (
	nullSize  = 5 << 40 / 2
	dummySize = 1 << 20
)

// handler reads a HANDLER and its devices.
func (r *reader) handler(s *statement) error {
	if err := r.check("a HANDLER", s.lines, "DEVICE"); err != nil {
		return err
	}
	handler := s.arg(1)
	for _, l := range s.lines {
		if l.key() != "DEVICE" {
			r.leave(l, "HANDLER "+handler)
			continue
		}
		name := l.arg(1)
		if _, twice := r.devices[name]; twice {
			r.leaveAll(l, "a device of that name stands above", true)
			continue
		}
		r.devices[name] = ""
		if err := r.check("a DEVICE of a HANDLER", l.lines); err != nil {
			return err
		}
		switch config.Handler(handler) {
		case config.FileIO, config.BlockIO, config.NullIO, config.CDROM:
			if err := r.device(config.Handler(handler), l); err != nil {
				return err
			}
		case config.PassDisk, config.PassTape, config.PassChanger, config.PassCDROM, config.PassMODisk, config.PassProcessor, config.PassRAID:
			r.passThrough(config.Handler(handler), l)
		default:
			r.leaveAll(l, notHandled(handler), true)
		}
	}
	return nil
}

func notHandled(handler string) string { return "ESOS has no handler " + handler }

// passThrough reads a SCSI device of the machine, whose name is its address.
func (r *reader) passThrough(handler config.Handler, s *statement) {
	given := s.arg(1)
	if _, ok := config.ParseHCIL(given); !ok {
		r.leaveAll(s, "its name is no address of a SCSI device (HOST:CHANNEL:ID:LUN)", true)
		return
	}
	r.leaveLines(s, "device "+given, false)
	if r.f.Names["device"] == nil {
		r.f.Names["device"] = &carry.Names{}
	}
	d := config.Device{Name: r.f.Names["device"].Make(passedName(given)), Handler: handler, Path: given}
	r.devices[given], r.stores[given] = d.Name, d.Name
	r.f.At(fmt.Sprintf("devices[%d]", len(r.f.Doc.Devices)), s.at())
	r.f.Doc.Devices = append(r.f.Doc.Devices, d)
}

// passedName names a SCSI device by its address, which no name of a document is.
func passedName(address string) string { return strings.ReplaceAll(address, ":", "-") }

// device reads one device.
func (r *reader) device(handler config.Handler, s *statement) error {
	d := config.Device{Handler: handler, Rotational: true} // SCST's default
	of := "device " + s.arg(1)
	dummy := false
	for _, l := range s.lines {
		var err error
		var n int64
		switch l.key() {
		case "filename":
			d.Path = l.value()
		case "blocksize":
			n, err = r.number(l)
			d.BlockSize = int(min(max(n, -1), 1<<20))
		case "size", "size_mb":
			err = r.size(&d, l, of)
		case "write_through":
			d.WriteThrough, err = r.flag(l)
			if d.WriteThrough && handler == config.NullIO {
				d.WriteThrough = false
				r.f.Leave(l.at(), "attribute write_through of "+of, "it keeps nothing")
			}
		case "read_only":
			d.ReadOnly, err = r.flag(l)
		case "removable":
			d.Removable, err = r.flag(l)
		case "rotational":
			// Some write the revolutions a minute; any but 0 is a disk that turns.
			n, err = r.number(l)
			d.Rotational = n != 0
		case "o_direct":
			d.ODirect, err = r.flag(l)
			if d.ODirect && handler != config.FileIO {
				d.ODirect = false
				r.f.Leave(l.at(), "attribute o_direct of "+of, "only a vdisk_fileio has a page cache to bypass")
			}
		case "thin_provisioned":
			var thin bool
			if thin, err = r.flag(l); thin && handler == config.FileIO {
				d.Provisioning = config.Thin
			} else {
				r.leave(l, of)
			}
		case "dummy":
			dummy, err = r.flag(l)
		case "usn", "t10_dev_id", "naa_id", "t10_vend_id", "prod_id", "prod_rev_lvl":
			// below: they are read when the device is sure to be carried
		default:
			r.leave(l, of)
		}
		if err != nil {
			return err
		}
	}
	if why := r.unserved(&d, s); why != "" {
		r.leaveAll(s, why, true)
		return nil
	}
	switch handler {
	case config.CDROM: // all that a drive can be
		d = config.Device{Handler: handler, Path: d.Path}
	case config.NullIO:
		r.nullio(&d, s, dummy)
	}
	d.Name = r.f.Name(s.words[1].at, "device", s.arg(1))
	r.devices[s.arg(1)] = d.Name
	if d.Path != "" && handler != config.CDROM {
		r.stores[filepath.Clean(d.Path)] = d.Name
	}
	r.identity(&d, s)
	r.f.At(fmt.Sprintf("devices[%d]", len(r.f.Doc.Devices)), s.at())
	r.f.Doc.Devices = append(r.f.Doc.Devices, d)
	return nil
}

// unserved says why ESOS cannot serve a device, "" if it can.
func (r *reader) unserved(d *config.Device, s *statement) string {
	block := d.WithDefaults().BlockSize
	clean := filepath.Clean(d.Path)
	switch {
	case d.Handler == config.NullIO:
		d.Path = ""
	case d.Path == "" && d.Handler != config.CDROM:
		return "it has no filename"
	case d.Path != "" && (!filepath.IsAbs(d.Path) || strings.HasSuffix(d.Path, "/") || len(d.Path) > 4095 || strings.ContainsRune(d.Path, 0)):
		return "its filename is no absolute path of a file"
	case d.Handler != config.CDROM && r.stores[clean] != "":
		return "its store is served as device " + r.stores[clean] + " already; two devices on one store destroy its data"
	}
	switch {
	case d.Handler == config.CDROM:
		d.BlockSize = 0
	case block != 512 && block != 4096:
		return fmt.Sprintf("ESOS serves blocks of 512 or 4096 bytes, and its data is in blocks of %d", block)
	}
	return ""
}

func (r *reader) size(d *config.Device, l *statement, of string) error {
	n, err := r.number(l)
	if err != nil {
		return err
	}
	if l.key() == "size_mb" {
		if n > 1<<42 {
			n = -1
		}
		n <<= 20
	}
	switch {
	case n < 0:
		return r.refuse(l.valueAt(), "%s: %q is no size", l.key(), l.value())
	case d.Handler != config.NullIO:
		r.f.Leave(l.at(), "attribute "+l.key()+" of "+of, "it has the size of its store")
	default:
		d.Size = config.Size(n)
	}
	return nil
}

// nullio gives a device without a store the size that it needs here.
func (r *reader) nullio(d *config.Device, s *statement, dummy bool) {
	switch {
	case dummy:
		d.Size = dummySize
		r.f.Miss(s.at(), "attribute dummy of device "+s.arg(1), "ESOS has no LUN without a disk; here it is a disk of 1 MiB that keeps nothing")
	case d.Size == 0:
		d.Size = nullSize
		r.f.Leave(s.at(), "size of device "+s.arg(1), "the file has none; SCST's own, 2.5 TiB, is taken")
	case d.Size%config.Size(d.WithDefaults().BlockSize) != 0:
		d.Size -= d.Size % config.Size(d.WithDefaults().BlockSize)
		if d.Size == 0 {
			d.Size = dummySize
		}
		r.f.Leave(s.at(), "size of device "+s.arg(1), "it is no multiple of the block size; it is "+d.Size.String()+" here")
	}
}

// identity keeps what initiators know a device by. What the file does not say
// SCST makes of the device's name and setup_id, the same in all versions:
// vdisk_gen_dev_id_num and vdev_create of scst_vdisk.c.
func (r *reader) identity(d *config.Device, s *statement) {
	name := s.arg(1)
	made := fmt.Sprintf("%x", r.setupID<<32|uint64(crc32c(name)))
	id := &d.Identity
	*id = config.Identity{Serial: made, T10ID: made + "-" + name, Vendor: "SCST_FIO", Product: name[:min(len(name), 16)]}
	if d.Handler == config.BlockIO {
		id.Vendor = "SCST_BIO"
	}
	eui := true
	for _, l := range s.lines {
		var field *string
		var most int
		switch l.key() {
		case "usn":
			field, most = &id.Serial, 32
		case "t10_dev_id":
			field, most = &id.T10ID, 96
		case "t10_vend_id":
			field, most = &id.Vendor, 8
		case "prod_id":
			field, most = &id.Product, 16
		case "prod_rev_lvl":
			field, most = &id.Revision, 4
		case "naa_id":
			eui = false
			naa := strings.ToLower(strings.TrimPrefix(l.value(), "0x"))
			if !regexp.MustCompile(`^([235][0-9a-f]{15}|6[0-9a-f]{31})$`).MatchString(naa) || r.naas[naa] {
				r.f.Miss(l.at(), "attribute naa_id of device "+name, "it is no NAA identifier of its own; ESOS makes one")
				continue
			}
			r.naas[naa], id.NAA = true, naa
			continue
		default:
			continue
		}
		if v := l.value(); len(v) > most || !printable(v) {
			r.f.Miss(l.at(), "attribute "+l.key()+" of device "+name, fmt.Sprintf("ESOS tells at most %d printable characters", most))
		} else if v != "" {
			*field = v
		}
	}
	// A document's name is printable and short where the file's may not be.
	if len(id.T10ID) > 96 || !printable(id.T10ID) {
		id.T10ID = made + "-" + d.Name
	}
	if !printable(id.Product) {
		id.Product = d.Name[:min(len(d.Name), 16)]
	}
	if r.serials[id.Serial] {
		r.f.Miss(s.at(), "serial number of device "+name, "another device has the same; it has another one here")
		for n := 2; r.serials[id.Serial]; n++ {
			id.Serial = made + "-" + strconv.Itoa(n)
		}
	}
	r.serials[id.Serial] = true
	switch {
	case !eui:
	case d.Handler == config.CDROM || d.Handler == config.NullIO:
		r.f.Leave(s.at(), "EUI-64 identifier of device "+name, "ESOS tells an NAA identifier")
	default:
		r.f.Miss(s.at(), "EUI-64 identifier of device "+name,
			"the file has no naa_id, so SCST told one that it made itself; ESOS tells an NAA identifier, and multipath by WWID sees another disk (serial number and T10 identifier stay)")
	}
}

// crc32c is the kernel's crc32c(0, name, length with the final NUL), which does
// not invert.
func crc32c(name string) uint32 {
	return ^crc32.Update(^uint32(0), crc32.MakeTable(crc32.Castagnoli), append([]byte(name), 0))
}

func printable(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return r < 0x20 || r > 0x7e }) < 0
}

// passedThrough says whether a name is that of a SCSI device of the machine.
func passedThrough(name string) bool {
	return regexp.MustCompile(`^\d+:\d+:\d+:\d+$`).MatchString(name)
}

// lun reads a LUN line; ok is false when it is not carried.
func (r *reader) lun(s *statement, of string, have []config.LUN) (l config.LUN, ok bool, err error) {
	n, err := strconv.Atoi(s.arg(1))
	if err != nil || n < 0 || n > 16383 {
		return l, false, r.refuse(s.words[1].at, "LUN: %q is no number from 0 to 16383", s.arg(1))
	}
	if err := r.check("a LUN", s.lines); err != nil {
		return l, false, err
	}
	l.LUN = n
	for _, a := range s.lines {
		if a.key() != "read_only" {
			r.leave(a, head(s)+" of "+of)
		} else if l.ReadOnly, err = r.flag(a); err != nil {
			return l, false, err
		}
	}
	name, declared := r.devices[s.arg(2)]
	what := head(s) + " (" + s.arg(2) + ") of " + of
	switch {
	case !declared && passedThrough(s.arg(2)):
		r.f.Miss(s.at(), what, "no HANDLER of the file says what this SCSI device is; make it with: esos device create NAME --handler dev_disk --path "+s.arg(2))
	case !declared:
		r.f.Miss(s.at(), what, "no HANDLER of the file has this device")
	case name == "":
		r.f.Miss(s.at(), what, "its device was not carried")
	case containsLUN(have, n):
		r.f.Miss(s.at(), what, "a LUN of that number stands above")
	default:
		l.Device = name
		return l, true, nil
	}
	return l, false, nil
}

func containsLUN(luns []config.LUN, n int) bool {
	for _, l := range luns {
		if l.LUN == n {
			return true
		}
	}
	return false
}
