package scstfake

import (
	"fmt"
	"hash/crc32"
	"path"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// parameters of add_device, by handler.
func createParameters(handler string) []string {
	switch handler {
	case "vdisk_fileio":
		return []string{"active", "async", "bind_alua_state", "blocksize", "cluster_mode", "dif_filename", "dif_mode", "dif_static_app_tag", "dif_type", "filename", "numa_node_id", "nv_cache", "o_direct", "read_only", "removable", "rotational", "thin_provisioned", "tst", "t10_dev_id", "write_through"}
	case "vdisk_blockio":
		return []string{"active", "bind_alua_state", "blocksize", "cluster_mode", "dif_filename", "dif_mode", "dif_static_app_tag", "dif_type", "filename", "numa_node_id", "nv_cache", "read_only", "removable", "rotational", "thin_provisioned", "tst", "t10_dev_id", "write_through"}
	case "vdisk_nullio":
		return []string{"blocksize", "cluster_mode", "dif_mode", "dif_static_app_tag", "dif_type", "dummy", "numa_node_id", "read_only", "removable", "rotational", "size", "size_mb", "tst", "t10_dev_id"}
	case "vcdrom":
		return []string{"tst"}
	}
	return nil
}

func (t *Tree) handlers() {
	for _, h := range []string{"vdisk_fileio", "vdisk_blockio", "vdisk_nullio", "vcdrom"} {
		at := "handlers/" + h
		t.k.Dir(at)
		t.k.File(at+"/type", "0 - Direct-access device", 'r', nil)
		known := createParameters(h)
		t.mgmt(at, "Usage: echo \"add_device device_name [parameters]\" >mgmt\n       echo \"del_device device_name\" >mgmt\n\n"+
			"where parameters are one or more param_name=value pairs separated by ';'\n\n"+
			"The following parameters available: "+t.advertised(known)+"\n",
			func(verb string, args []string, rest string) error {
				switch {
				case len(args) == 0:
					return unix.EINVAL
				case verb == "add_device":
					return t.addDevice(h, args[0], strings.TrimPrefix(strings.TrimSpace(rest), args[0]), known)
				case verb == "del_device":
					return t.delDevice(h, args[0])
				}
				return t.refuse(unix.EINVAL, "Unknown action %q", verb)
			})
	}
	for h, devices := range t.opt.SCSI {
		at := "handlers/" + h
		t.k.Dir(at)
		t.k.File(at+"/type", "1", 'r', nil)
		for _, d := range devices { // they are there before anybody assigns them
			t.k.Dir("devices/" + d)
			t.k.Dir("devices/" + d + "/exported")
			t.k.File("devices/"+d+"/type", "1", 'r', nil)
			t.tuning("devices/" + d)
		}
		t.mgmt(at, "Usage: echo \"add_device H:C:I:L\" >mgmt\n       echo \"del_device H:C:I:L\" >mgmt\n",
			func(verb string, args []string, _ string) error { return t.passThrough(h, devices, verb, args) })
	}
}

func (t *Tree) passThrough(handler string, devices []string, verb string, args []string) error {
	if len(args) != 1 || !slices.Contains(devices, args[0]) {
		return t.refuse(unix.EINVAL, "Device %q not found", strings.Join(args, " "))
	}
	at := "devices/" + args[0]
	switch {
	case verb == "add_device" && t.k.There(at+"/handler"):
		return unix.EEXIST
	case verb == "add_device":
		t.k.Link(at+"/handler", "handlers/"+handler)
		t.k.Link("handlers/"+handler+"/"+args[0], at)
	case verb == "del_device":
		t.unexport(args[0])
		t.k.Drop(at + "/handler")
		t.k.Drop("handlers/" + handler + "/" + args[0])
	default:
		return unix.EINVAL
	}
	return nil
}

func (t *Tree) addDevice(handler, name, rest string, known []string) error {
	at := "devices/" + name
	switch {
	case t.k.There(at):
		return t.refuse(unix.EEXIST, "Virtual device %s already exists", name)
	case len(name) > 64:
		return t.refuse(unix.EINVAL, "Device name %s is too long", name)
	}
	p, err := t.parameters(rest, known)
	if err != nil {
		return err
	}
	or := func(key, value string) string {
		if v, ok := p[key]; ok {
			return v
		}
		return value
	}
	size := int64(0)
	switch handler {
	case "vdisk_fileio", "vdisk_blockio":
		if p["filename"] == "" {
			return t.refuse(unix.EINVAL, "File name required (device %s)", name)
		}
		if !path.IsAbs(p["filename"]) {
			return t.refuse(unix.EINVAL, "File path %q is not absolute", p["filename"])
		}
		if size, err = t.opt.Stat(p["filename"]); err != nil {
			return t.refuse(unix.ENOENT, "filp_open(%s) failed: -2", p["filename"])
		}
	case "vdisk_nullio":
		n, _ := strconv.ParseInt(or("size", "8589934592"), 10, 64)
		size = n
	}
	block, err := strconv.Atoi(or("blocksize", map[bool]string{true: "2048", false: "512"}[handler == "vcdrom"]))
	if err != nil || block < 512 || block&(block-1) != 0 {
		return t.refuse(unix.EINVAL, "Wrong block size %s", p["blocksize"])
	}
	if !t.opt.PRDir() {
		return t.refuse(unix.ENOENT, "Unable to find directory /var/lib/scst/pr")
	}
	t.k.Dir(at)
	t.k.Dir(at + "/exported")
	t.k.Link(at+"/handler", "handlers/"+handler)
	t.k.Link("handlers/"+handler+"/"+name, at)
	t.k.File(at+"/type", "0 - Direct-access device", 'r', nil)
	t.k.File(at+"/blocksize", strconv.Itoa(block), 'r', nil)
	t.k.File(at+"/tst", or("tst", "1"), 'r', nil)
	for key, fallback := range map[string]string{"nv_cache": "0", "write_through": "0", "read_only": "0", "removable": "0", "rotational": "1", "thin_provisioned": "0", "o_direct": "0"} {
		if slices.Contains(known, key) {
			n := t.k.File(at+"/"+key, or(key, fallback), 'r', nil)
			n.Key = n.Text != fallback
		}
	}
	if slices.Contains(known, "bind_alua_state") {
		t.k.File(at+"/bind_alua_state", or("bind_alua_state", map[bool]string{true: "1", false: "0"}[handler == "vdisk_blockio"]), 'b', nil)
		t.k.File(at+"/active", or("active", "1"), 'b', nil)
	}
	t.identity(at, handler, name, p["t10_dev_id"])
	t.sizes(at, handler, size)
	mode := byte('r')
	switch handler {
	case "vcdrom":
		t.k.File(at+"/filename", "", 'b', t.medium(at))
	case "vdisk_fileio", "vdisk_blockio":
		t.k.File(at+"/filename", p["filename"], mode, nil).Key = true
	}
	t.k.File(at+"/pr_file_name", "/var/lib/scst/pr/"+name, 'b', func(text string) error {
		if len(t.k.Children(at+"/exported")) > 1 { // the copy manager's is always there
			return unix.EBUSY
		}
		t.k.At(at + "/pr_file_name").Text = text
		return nil
	})
	t.k.File(at+"/block", "0 0", 'b', nil)
	t.tuning(at)
	// The copy manager takes a LUN of every virtual device by itself.
	lun := len(t.k.Children("targets/copy_manager/copy_manager_tgt/luns")) - 1
	t.mapLUN("targets/copy_manager/copy_manager_tgt/luns", name, lun, false)
	return nil
}

func (t *Tree) identity(at, handler, name, t10 string) {
	usn := fmt.Sprintf("%08x", crc32.ChecksumIEEE([]byte(name)))
	given := t10 != ""
	if !given {
		t10 = usn + "-" + name
	}
	limited := func(file, text string, most int) {
		t.k.File(at+"/"+file, text, 'b', func(v string) error {
			if len(v) > most {
				return t.refuse(unix.EINVAL, "%s is too long (max %d characters)", file, most)
			}
			n := t.k.At(at + "/" + file)
			n.Text, n.Key = v, true
			return nil
		})
	}
	limited("usn", usn, 20)
	limited("t10_dev_id", t10, 25)
	if n := t.k.At(at + "/t10_dev_id"); n != nil {
		n.Key = given
	}
	limited("t10_vend_id", map[string]string{"vdisk_blockio": "SCST_BIO"}[handler], 8)
	if n := t.k.At(at + "/t10_vend_id"); n != nil && n.Text == "" {
		n.Text = "SCST_FIO"
	}
	limited("prod_id", name[:min(len(name), 16)], 16)
	limited("prod_rev_lvl", "3110", 4)
	t.k.File(at+"/naa_id", "", 'b', func(v string) error {
		v = strings.TrimPrefix(strings.TrimSpace(v), "0x")
		if len(v) != 16 && len(v) != 32 || strings.Trim(v, "0123456789abcdefABCDEF") != "" ||
			len(v) == 16 && !strings.Contains("235", v[:1]) || len(v) == 32 && v[0] != '6' {
			return unix.EINVAL
		}
		n := t.k.At(at + "/naa_id")
		n.Text, n.Key = "0x"+strings.ToLower(v), true
		return nil
	})
}

// sizes adds what tells and changes the size.
func (t *Tree) sizes(at, handler string, size int64) {
	mode := byte('r')
	if handler == "vdisk_nullio" || handler == "vdisk_blockio" {
		mode = 'b'
	}
	set := func(n int64) {
		t.k.At(at + "/size").Text = strconv.FormatInt(n, 10)
		t.k.At(at + "/size_mb").Text = strconv.FormatInt(n>>20, 10)
	}
	t.k.File(at+"/size", strconv.FormatInt(size, 10), mode, func(v string) error {
		n, err := strconv.ParseInt(v, 10, 64)
		if err != nil || n <= 0 {
			return unix.EINVAL
		}
		set(n)
		return nil
	})
	t.k.File(at+"/size_mb", strconv.FormatInt(size>>20, 10), mode, nil)
	if handler == "vdisk_fileio" || handler == "vdisk_blockio" {
		t.k.File(at+"/resync_size", "", 'w', func(string) error {
			n, err := t.opt.Stat(t.k.At(at + "/filename").Text)
			if err != nil {
				return unix.ENOENT
			}
			set(n)
			return nil
		})
		t.k.File(at+"/sync", "", 'w', func(string) error { return nil })
	}
}

// medium changes what is in a drive.
func (t *Tree) medium(at string) func(string) error {
	return func(text string) error {
		size := int64(0)
		if text = strings.TrimSpace(text); text != "" {
			n, err := t.opt.Stat(text)
			if err != nil {
				return t.refuse(unix.ENOENT, "filp_open(%s) failed: -2", text)
			}
			size = n
		}
		n := t.k.At(at + "/filename")
		n.Text, n.Key = text, text != ""
		t.k.At(at + "/size").Text = strconv.FormatInt(size, 10)
		return nil
	}
}

// delDevice ends a device, whoever uses it: LUNs that lead to it go with it.
func (t *Tree) delDevice(handler, name string) error {
	at := "handlers/" + handler + "/" + name
	if !t.k.There(at) {
		return t.refuse(unix.EINVAL, "Device %s not found", name)
	}
	t.unexport(name)
	for p, n := range t.k.All() {
		if strings.HasPrefix(p, "device_groups/") && n.Link == "devices/"+name {
			t.k.Drop(p)
		}
	}
	t.k.Drop(at)
	t.k.Drop("devices/" + name)
	return nil
}

// unexport drops every LUN of a device.
func (t *Tree) unexport(name string) {
	for _, e := range t.k.Children("devices/" + name + "/exported") {
		t.unmap(t.k.At("devices/" + name + "/exported/" + e).Link)
	}
}

// Stat has another function look at backing files from now on.
func (t *Tree) Stat(stat func(path string) (int64, error)) {
	t.k.Lock()
	defer t.k.Unlock()
	t.opt.Stat = stat
}
