package config

import (
	"fmt"
	"path/filepath"
	"strings"
)

func (c *checker) checkDevices() {
	files := map[string]string{}
	serials, naas := map[string]int{}, map[string]int{}
	for i, d := range c.doc.Devices {
		at := fmt.Sprintf("devices[%d]", i)
		c.name(at+".name", d.Name)
		c.unique(c.devices, at+".name", "devices", d.Name, i)
		if d.Handler == "" {
			c.error(at+".handler", "missing; vdisk_fileio serves an image file, vdisk_blockio a block device")
		}
		if d.Handler.PassThrough() {
			c.checkPassThrough(at, d)
		} else {
			c.checkPath(at+".path", d)
			c.checkSize(at, d)
			c.checkIdentity(at+".identity", d.Identity)
		}
		c.checkAttributes(at, d.Attributes)
		if s := d.Identity.Serial; s != "" {
			c.unique(serials, at+".identity.serial", "devices", s, i)
		}
		if n := strings.ToLower(d.Identity.NAA); n != "" {
			c.unique(naas, at+".identity.naa", "devices", n, i)
		}
		// A CD in two drives is fine: nobody writes it.
		if d.Path != "" && d.Handler != CDROM {
			path := filepath.Clean(d.Path)
			if first, ok := files[path]; ok {
				c.error(at+".path", "%q is already served as device %q; two devices on one store destroy its data", clip(d.Path), first)
			}
			files[path] = d.Name
		}
	}
}

// checkPassThrough checks a device that is a SCSI device of this machine, and
// has all but its name from there.
func (c *checker) checkPassThrough(at string, d Device) {
	_, address := ParseHCIL(d.Path)
	switch {
	case d.Path == "":
		c.error(at+".path", "missing; name the SCSI device, like /dev/disk/by-id/..., /dev/tape/by-id/..., /dev/sg3 or 3:0:0:0")
	case !address && (!filepath.IsAbs(d.Path) || strings.ContainsRune(d.Path, 0) || len(d.Path) > 4095 || strings.HasSuffix(d.Path, "/")):
		c.error(at+".path", "%q is no SCSI device; write an absolute path like /dev/sg3, or HOST:CHANNEL:ID:LUN like 3:0:0:0", clip(d.Path))
	}
	own := Device{Name: d.Name, Handler: d.Handler, Path: d.Path, Attributes: d.Attributes}
	for _, f := range Fields(own, d) {
		c.error(at+"."+f.Field, "a SCSI device that %s passes on has its own; remove it", d.Handler)
	}
}

func (c *checker) checkPath(at string, d Device) {
	p := d.Path
	switch {
	case strings.ContainsRune(p, 0) || len(p) > 4095:
		c.error(at, "is no path of a file")
	case (d.Handler == NullIO || d.Handler == Memory) && p != "":
		c.error(at, "%s has no store; remove the path", d.Handler)
	case d.Handler == BlockIO && p == "":
		c.error(at, "missing; name the block device, like /dev/disk/by-id/...")
	case d.Handler == BlockIO && !filepath.IsAbs(p):
		c.error(at, "%q must be an absolute path of a block device, like /dev/disk/by-id/...", clip(p))
	case p != "" && !filepath.IsAbs(p) && !filepath.IsLocal(p):
		c.error(at, "%q leaves the data directory; write an absolute path", clip(p))
	case p != "" && !filepath.IsAbs(p) && Reserved(p):
		c.error(at, "%q is where the array keeps its own state; use devices/...", clip(p))
	case strings.HasSuffix(p, "/"):
		c.error(at, "%q is a directory", clip(p))
	}
}

// Reserved says whether a path in the data directory belongs to the daemon.
func Reserved(path string) bool {
	first, _, _ := strings.Cut(filepath.Clean(path), "/")
	switch first {
	case ".", "revisions", "events.jsonl", "events.jsonl.1", "lock", "state", "run", "api", "mail", "network-unconfirmed.json", "unfinished.json",
		"keys", "trim.json", "held.json", "lvm", "raid-checks.json":
		return true
	}
	return false
}

func (c *checker) checkSize(at string, d Device) {
	block := d.WithDefaults().BlockSize
	switch {
	case d.Handler == CDROM && block != 2048:
		c.error(at+".block_size", "a CD has blocks of 2048 bytes; remove it")
	case d.Handler != CDROM && block != 512 && block != 4096:
		c.error(at+".block_size", "must be 512 or 4096, not %d", block)
	case d.Handler == BlockIO && d.Size != 0:
		c.error(at+".size", "a block device has its own size; remove it")
	case d.Handler == CDROM && d.Size != 0:
		c.error(at+".size", "a CD has the size of its file; remove it")
	case (d.Handler == NullIO || d.Handler == Memory) && d.Size == 0:
		c.error(at+".size", "missing; %s needs one", d.Handler)
	case d.Size < 0:
		c.error(at+".size", "must not be negative")
	case block > 0 && d.Size%Size(block) != 0:
		c.error(at+".size", "%s is no multiple of the block size %d", d.Size, block)
	}
	if d.Provisioning != "" && d.Handler != FileIO {
		c.error(at+".provisioning", "only vdisk_fileio has it; remove it")
	}
	if d.ODirect && d.Handler != FileIO {
		c.error(at+".o_direct", "only vdisk_fileio has it; remove it")
	}
}

func (c *checker) checkIdentity(at string, id Identity) {
	text := func(key, value string, most int) {
		if len(value) > most {
			c.error(at+"."+key, "is longer than %d characters", most)
		}
		for _, r := range value {
			if r < 0x20 || r > 0x7e {
				c.error(at+"."+key, "%q may have printable ASCII characters only", clip(value))
				return
			}
		}
	}
	text("serial", id.Serial, 32)
	text("t10_id", id.T10ID, 96)
	text("vendor", id.Vendor, 8)
	text("product", id.Product, 16)
	text("revision", id.Revision, 4)
	naa := strings.ToLower(id.NAA)
	if naa == "" {
		return
	}
	ok := strings.Trim(naa, "0123456789abcdef") == "" &&
		(len(naa) == 16 && strings.ContainsRune("235", rune(naa[0])) || len(naa) == 32 && naa[0] == '6')
	if !ok {
		c.error(at+".naa", "%q is no NAA identifier; 16 hex digits that start with 2, 3 or 5, or 32 that start with 6", clip(id.NAA))
	}
}
