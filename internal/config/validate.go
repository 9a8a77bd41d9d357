package config

import (
	"fmt"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
)

// Validate checks what the document means and returns all problems at once,
// doubtful points as warnings. It needs no machine.
func (d *Document) Validate() Problems {
	c := &checker{doc: d, devices: map[string]int{}, targets: map[string]int{}, portals: map[string]int{}, allowed: map[reflect.Type][]enumField{}}
	c.enums(reflect.ValueOf(d).Elem(), "")
	if d.Version != Version {
		c.error("version", "must be %d", Version)
	}
	c.name("name", d.Name)
	if d.ID != "" && !isUUID(d.ID) {
		c.error("id", "%q is no UUID; leave it out to have one made", clip(d.ID))
	}
	if d.Engine == "scst" {
		c.error("engine", "scst is not built in yet; use native or lio")
	}
	c.checkDevices()
	c.checkPortals()
	c.checkTargets()
	c.checkDeviceGroups()
	c.checkNVMe()
	c.checkAPI()
	c.checkNetwork()
	c.checkClock()
	c.checkMail()
	c.checkUsers()
	c.checkServices()
	return c.problems
}

// checker gathers problems and knows the names that others refer to.
type checker struct {
	doc      *Document
	problems Problems
	devices  map[string]int // index by name
	targets  map[string]int
	portals  map[string]int
	allowed  map[reflect.Type][]enumField
}

// enumField is a field that has an enum tag, or holds one that does.
type enumField struct {
	field
	allowed string // names with commas between them; "" looks inside
}

func (c *checker) error(path, format string, args ...any) {
	if len(c.problems) < maxProblems {
		c.problems = append(c.problems, Problem{Path: path, Message: fmt.Sprintf(format, args...)})
	}
}

func (c *checker) warn(path, format string, args ...any) {
	if len(c.problems) < maxProblems {
		c.problems = append(c.problems, Problem{Path: path, Message: fmt.Sprintf(format, args...), Warning: true})
	}
}

// enums checks every field that has an enum tag.
func (c *checker) enums(v reflect.Value, path string) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			c.enums(v.Elem(), path)
		}
	case reflect.Slice:
		if v.Len() > 0 && len(c.enumFields(v.Type().Elem())) > 0 {
			for i := range v.Len() {
				c.enums(v.Index(i), path+"["+strconv.Itoa(i)+"]")
			}
		}
	case reflect.Struct:
		for _, f := range c.enumFields(v.Type()) {
			at, value := join(path, f.key), v.Field(f.index)
			switch {
			case f.allowed == "":
				c.enums(value, at)
			case value.Kind() == reflect.Slice:
				for i := range value.Len() {
					c.oneOf(at+"["+strconv.Itoa(i)+"]", value.Index(i).String(), f.allowed)
				}
			case value.String() != "":
				c.oneOf(at, value.String(), f.allowed)
			}
		}
	}
}

// enumFields finds the fields of a struct that enums must look at; a document
// can have thousands of structs, so each type is looked at once.
func (c *checker) enumFields(t reflect.Type) []enumField {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct {
		return nil
	}
	if fs, ok := c.allowed[t]; ok {
		return fs
	}
	var fs []enumField
	for _, f := range fieldsOf(t) {
		sf := t.Field(f.index)
		allowed := sf.Tag.Get("enum")
		if allowed != "" || len(c.enumFields(sf.Type)) > 0 {
			fs = append(fs, enumField{f, allowed})
		}
	}
	c.allowed[t] = fs
	return fs
}

func (c *checker) oneOf(path, value, allowed string) {
	names := strings.Split(allowed, ",")
	for _, n := range names {
		if n == value {
			return
		}
	}
	hint := nearest(value, names)
	if hint == "" {
		hint = "; it must be one of " + strings.Join(names, ", ")
	}
	c.error(path, "%q is not known%s", clip(value), hint)
}

// name checks a name that appears in paths, commands and metrics.
func (c *checker) name(path, name string) {
	switch {
	case name == "":
		c.error(path, "missing")
	case len(name) > 64:
		c.error(path, "%q is longer than 64 characters", clip(name))
	case strings.Trim(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") != "" || hasOther(name):
		c.error(path, "%q may have letters, digits, \".\", \"_\" and \"-\" only", clip(name))
	case strings.ContainsRune(".-", rune(name[0])):
		c.error(path, "%q must start with a letter, a digit or \"_\"", name)
	}
}

func hasOther(name string) bool {
	for _, r := range name {
		if r > 127 || !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("._-", r)) {
			return true
		}
	}
	return false
}

// unique notes a name's first place and refuses a second one.
func (c *checker) unique(seen map[string]int, path, list, name string, index int) {
	if first, ok := seen[name]; ok && name != "" {
		c.error(path, "%q is already taken by %s[%d]", clip(name), list, first)
		return
	}
	seen[name] = index
}

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
		c.checkPath(at+".path", d)
		c.checkSize(at, d)
		c.checkIdentity(at+".identity", d.Identity)
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
	case ".", "revisions", "events.jsonl", "events.jsonl.1", "lock", "state", "run", "api", "mail", "network-unconfirmed.json", "unfinished.json":
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

func isUUID(s string) bool {
	if len(s) != 36 {
		return false
	}
	for i, r := range strings.ToLower(s) {
		dash := i == 8 || i == 13 || i == 18 || i == 23
		if dash != (r == '-') || !dash && !strings.ContainsRune("0123456789abcdef", r) {
			return false
		}
	}
	return true
}
