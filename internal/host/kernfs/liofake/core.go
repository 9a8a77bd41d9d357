package liofake

import (
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/esos-project/esos/internal/host/kernfs/imitation"
)

// setDBRoot takes another place for what survives, as long as no fabric is
// registered and no storage object exists, and only a directory.
func (t *Tree) setDBRoot(text string) error {
	for name := range transports() {
		if t.k.At(name) != nil {
			return unix.EINVAL
		}
	}
	if t.objects() > 0 {
		return unix.EINVAL
	}
	dir := strings.TrimSuffix(text, "\n")
	if fi, err := os.Stat(dir); err != nil || !fi.IsDir() || len(dir) > 255 {
		return unix.EINVAL
	}
	if was := t.k.At("dbroot").Text; dir == text && len(was) > len(dir) {
		dir += was[len(dir):] // copied without the end that it has not got
	}
	t.k.At("dbroot").Text = dir
	return nil
}

func (t *Tree) objects() (n int) {
	for _, hba := range t.k.Children("core") {
		if hba == "alua" {
			continue
		}
		for _, name := range t.k.Children("core/" + hba) {
			if t.k.At("core/" + hba + "/" + name).Dir {
				n++
			}
		}
	}
	return n
}

// Restored returns what registrations a storage object was told of.
func (t *Tree) Restored(object string) []string {
	t.k.Lock()
	defer t.k.Unlock()
	return t.restored[object]
}

// SavePR does what PERSISTENT RESERVE OUT with APTPL does: it writes a file
// below the dbroot, and fails where its directory is missing.
func (t *Tree) SavePR(object string) error {
	t.k.Lock()
	defer t.k.Unlock()
	serial := strings.TrimPrefix(t.k.At(path.Join(object, "wwn/vpd_unit_serial")).Text, serialPrefix)
	return os.WriteFile(filepath.Join(t.k.At("dbroot").Text, "pr", "aptpl_"+serial), []byte("PR_REG_START: 0\n"), 0o600)
}

const serialPrefix = "T10 VPD Unit Serial Number: "

// make fills a directory that was just asked for; an error refuses it.
func (t *Tree) make(p string) error {
	parts := strings.Split(p, "/")
	switch {
	case len(parts) == 1 && isFabric(p):
		return t.loadFabric(p)
	case len(parts) == 2 && parts[0] == "core":
		plugin, index, ok := cutLast(parts[1], "_")
		if _, err := strconv.Atoi(index); !ok || err != nil {
			return unix.EINVAL
		}
		switch plugin {
		case "fileio", "iblock", "rd_mcp", "pscsi":
		default:
			return unix.EINVAL
		}
		t.k.File(p+"/hba_info", "HBA Index: "+index+" plugin: "+plugin+" version: v5.0", 'r', nil)
		t.k.File(p+"/hba_mode", "0", 'b', nil)
		return nil
	case len(parts) == 3 && parts[0] == "core" && parts[1] != "alua":
		plugin, _, _ := cutLast(parts[1], "_")
		t.object(p, plugin)
		return nil
	case len(parts) == 5 && parts[0] == "core" && parts[3] == "alua":
		t.portGroup(p, false)
		return nil
	case parts[0] == "iscsi":
		return t.makeISCSI(p, parts)
	case isFabric(parts[0]):
		return t.makePort(p, parts)
	}
	return unix.EPERM
}

func cutLast(s, sep string) (before, after string, ok bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+1:], true
}

// storage is a storage object.
type storage struct {
	plugin             string
	path               string
	size, pages        int64
	buffered, async    bool
	readonly, nullio   bool
	enabled, sized     bool
	hwBlock, blockSize int
	place              [4]string // of a SCSI device: host, channel, target, LUN
}

// object makes a storage object (target_core_configfs.c).
func (t *Tree) object(p, plugin string) {
	s := &storage{plugin: plugin, hwBlock: 512, blockSize: 512}
	exported := func() bool { return t.k.Leads(p) }
	t.k.File(p+"/control", "", 'w', s.control)
	t.k.File(p+"/enable", "0", 'b', func(text string) error { return t.enable(p, s, text) })
	t.k.File(p+"/info", "", 'r', nil).Read = s.info
	udev := t.k.File(p+"/udev_path", "", 'b', nil)
	udev.Write = func(text string) error {
		if len(text) > 511 {
			return unix.EINVAL
		}
		udev.Text = strings.TrimSuffix(text, "\n")
		return nil
	}
	alias := t.k.File(p+"/alias", "", 'b', nil)
	alias.Read = func() string { // nothing at all until it is set
		if alias.Text == "" {
			return ""
		}
		return alias.Text + "\n"
	}
	alias.Write = func(text string) error {
		if len(text) > 511 {
			return unix.EINVAL
		}
		alias.Text = strings.TrimSuffix(text, "\n")
		return nil
	}
	t.k.File(p+"/alua_lu_gp", "LU Group Alias: default_lu_gp\nLU Group ID: 0", 'b', nil)
	t.k.Dir(p + "/attrib")
	t.attributes(p, s, exported)
	t.k.Dir(p + "/wwn")
	t.identity(p, exported)
	t.k.Dir(p + "/pr")
	t.k.File(p+"/pr/res_aptpl_active", "APTPL Bit Status: Disabled", 'r', nil)
	restored := t.k.File(p+"/pr/res_aptpl_metadata", "Ready to process PR APTPL metadata..", 'b', nil)
	restored.Write = func(text string) error { // target_pr_res_aptpl_metadata_store
		if exported() || !strings.Contains(text, "initiator_node=") || !strings.Contains(text, "target_node=") || !strings.Contains(text, "sa_res_key=") {
			return unix.EINVAL
		}
		for _, set := range strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == '\n' }) {
			if key, value, _ := strings.Cut(set, "="); strings.HasPrefix(key, "res_") {
				if _, err := strconv.ParseInt(value, 0, 32); err != nil { // match_int: a leading zero is octal
					return unix.EINVAL
				}
			}
		}
		t.restored[p] = append(t.restored[p], text)
		return nil
	}
	t.k.Dir(p + "/statistics")
	t.k.Dir(p + "/statistics/scsi_lu")
	for _, name := range []string{"num_cmds", "read_mbytes", "write_mbytes"} {
		t.k.File(p+"/statistics/scsi_lu/"+name, "0", 'r', nil)
	}
	t.k.Dir(p + "/alua")
	t.k.Dir(p + "/alua/default_tg_pt_gp")
	t.portGroup(p+"/alua/default_tg_pt_gp", true)
}

// control takes key=value pairs with commas between them.
func (s *storage) control(text string) error {
	for _, opt := range strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == '\n' }) {
		key, value, _ := strings.Cut(opt, "=")
		n, bad := strconv.ParseInt(value, 0, 64)
		switch {
		case s.plugin == "fileio" && key == "fd_dev_name":
			if len(value) > 255 {
				return unix.EINVAL
			}
			s.path = value
		case s.plugin == "fileio" && key == "fd_dev_size" && bad == nil:
			s.size, s.sized = n, true
		case s.plugin == "fileio" && key == "fd_buffered_io" && n == 1:
			s.buffered = true
		case s.plugin == "fileio" && key == "fd_async_io" && n == 1:
			s.async = true
		case s.plugin == "iblock" && key == "udev_path":
			s.path = value
		case s.plugin == "iblock" && key == "readonly" && bad == nil:
			s.readonly = n == 1
		case s.plugin == "pscsi" && bad == nil:
			for i, known := range []string{"scsi_host_id", "scsi_channel_id", "scsi_target_id", "scsi_lun_id"} {
				if key == known {
					s.place[i] = value
				}
			}
		case s.plugin == "rd_mcp" && key == "rd_pages" && bad == nil && n < 1<<31:
			s.pages = n
		case s.plugin == "rd_mcp" && key == "rd_nullio" && bad == nil:
			s.nullio = n == 1
		}
		// Keys that are not known are passed over in silence, as the kernel does.
	}
	return nil
}

// enable brings the object up; there is no way down.
func (t *Tree) enable(p string, s *storage, text string) error {
	switch {
	case strings.TrimSpace(text) != "1":
		return unix.EINVAL
	case s.enabled:
		return unix.EEXIST
	case s.plugin == "fileio" && (s.path == "" || !s.sized), s.plugin == "iblock" && s.path == "", s.plugin == "rd_mcp" && s.pages <= 0:
		return unix.EINVAL
	}
	if s.plugin == "fileio" { // opened with O_CREAT: a file that is missing is made
		f, err := os.OpenFile(s.path, os.O_RDWR|os.O_CREATE, 0o600)
		if err != nil {
			return unix.ENOENT
		}
		_ = f.Close()
	}
	if s.plugin == "iblock" {
		if _, err := os.Stat(s.path); err != nil {
			return unix.ENOENT
		}
	}
	if s.plugin == "pscsi" {
		if err := t.attach(p, s); err != nil {
			return err
		}
	}
	s.enabled = true
	t.k.At(p + "/enable").Text = "1"
	// target_configure_device: the hardware's values, over what was set before.
	s.blockSize = s.hwBlock
	t.k.At(p + "/attrib/block_size").Text = strconv.Itoa(s.hwBlock)
	if s.buffered {
		t.k.At(p + "/attrib/emulate_write_cache").Text = "1"
	}
	return nil
}

// attach finds the SCSI device (pscsi_configure_device). A disk is claimed by
// its udev_path; of others the kernel does not notice that they are in use.
func (t *Tree) attach(p string, s *storage) error {
	switch {
	case s.place[1] == "" || s.place[2] == "" || s.place[3] == "", t.k.Text(p+"/udev_path") == "":
		return unix.EINVAL
	case s.place[0] == "":
		return unix.ENODEV
	}
	kind, there := t.opt.SCSI[strings.Join(s.place[:], ":")]
	if !there {
		return unix.ENODEV
	}
	for _, other := range t.k.Children(path.Dir(p)) {
		at := path.Join(path.Dir(p), other)
		if kind == 0 && at != p && t.k.Text(at+"/enable") == "1" && t.k.Text(at+"/udev_path") == t.k.Text(p+"/udev_path") {
			return unix.EBUSY
		}
	}
	return nil
}

func (s *storage) info() string {
	status := "DEACTIVATED"
	head := fmt.Sprintf("Status: %s  Max Queue Depth: 128  SectorSize: %d  HwMaxSectors: 16384\n        ", status, s.blockSize)
	switch s.plugin {
	case "fileio":
		mode := "O_DSYNC"
		if s.buffered {
			mode = "Buffered-WCE"
		}
		return head + fmt.Sprintf("TCM FILEIO ID: 0        File: %s  Size: %d  Mode: %s Async: %d\n", s.path, s.size, mode, btoi(s.async))
	case "pscsi":
		return head + fmt.Sprintf("SCSI Device Bus Location: Channel ID: %s Target ID: %s LUN: %s Host ID: %s\n        Vendor: IBM      Model: ULTRIUM Rev: 1\n",
			s.place[1], s.place[2], s.place[3], s.place[0])
	case "iblock":
		return head + fmt.Sprintf("iBlock device: sdz  UDEV PATH: %s  readonly: %d\n        Major: 8 Minor: 240  CLAIMED: IBLOCK\n", s.path, btoi(s.readonly))
	}
	return head + fmt.Sprintf("TCM RamDisk ID: 0  RamDisk Makeup: rd_mcp\n        PAGES/PAGE_SIZE: %d*4096  SG_table_count: 1  nullio: %d\n", s.pages, btoi(s.nullio))
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// attributes are those of a 6.x kernel.
func (t *Tree) attributes(p string, s *storage, exported func() bool) {
	for name, value := range map[string]string{
		"alua_support": "1", "emulate_3pc": "1", "emulate_caw": "1", "emulate_dpo": "1", "emulate_fua_read": "1", "emulate_fua_write": "1",
		"emulate_model_alias": "0", "emulate_pr": "1", "emulate_rest_reord": "0", "emulate_tas": "1", "emulate_tpu": "0", "emulate_tpws": "0",
		"emulate_ua_intlck_ctrl": "0", "enforce_pr_isids": "1", "force_pr_aptpl": "0", "is_nonrot": "0", "max_unmap_block_desc_count": "1",
		"max_unmap_lba_count": "8192", "max_write_same_len": "4096", "optimal_sectors": "16384", "queue_depth": "128", "unmap_granularity": "1",
		"unmap_granularity_alignment": "0", "unmap_zeroes_data": "0",
	} {
		t.number(p+"/attrib/"+name, value, func(n uint64) bool {
			return !(strings.HasPrefix(name, "emulate_") || name == "is_nonrot") || n <= 1
		})
	}
	for name, value := range map[string]string{"hw_block_size": "512", "hw_max_sectors": "16384", "hw_queue_depth": "128", "pgr_support": "1"} {
		t.k.File(p+"/attrib/"+name, value, 'r', nil)
	}
	cache := t.k.File(p+"/attrib/emulate_write_cache", "0", 'b', nil)
	cache.Write = func(text string) error {
		n, err := strconv.ParseUint(strings.TrimSpace(text), 0, 1)
		if err != nil || n == 1 && s.plugin == "iblock" { // the block device's own is reported
			return unix.EINVAL
		}
		cache.Text = strconv.FormatUint(n, 10)
		return nil
	}
	size := t.k.File(p+"/attrib/block_size", "512", 'b', nil)
	size.Write = func(text string) error {
		n, err := strconv.Atoi(strings.TrimSpace(text))
		if err != nil || exported() || n != 512 && n != 1024 && n != 2048 && n != 4096 {
			return unix.EINVAL
		}
		s.blockSize, size.Text = n, strconv.Itoa(n)
		return nil
	}
}

// number adds a file that holds one.
func (t *Tree) number(p, value string, takes func(uint64) bool) *imitation.Node {
	n := t.k.File(p, value, 'b', nil)
	n.Write = func(text string) error {
		v, err := strconv.ParseUint(strings.TrimSpace(text), 0, 32)
		if err != nil || !takes(v) {
			return unix.EINVAL
		}
		n.Text = strconv.FormatUint(v, 10)
		return nil
	}
	return n
}

// identity is what INQUIRY says of an object; none of it changes while it is
// exported, not even to what it is.
func (t *Tree) identity(p string, exported func() bool) {
	text := func(name, value string, most int) {
		n := t.k.File(p+"/wwn/"+name, value, 'b', nil)
		n.Write = func(text string) error {
			text = strings.TrimSpace(text)
			if exported() || len(text) > most {
				return unix.EINVAL
			}
			n.Text = text
			return nil
		}
	}
	text("vendor_id", "LIO-ORG", 8)
	text("product_id", "FILEIO", 16)
	text("revision", "4.0", 4)
	company := t.k.File(p+"/wwn/company_id", "0x001405", 'b', nil)
	company.Write = func(text string) error {
		n, err := strconv.ParseUint(strings.TrimSpace(text), 0, 24)
		if err != nil || exported() {
			return unix.EINVAL
		}
		company.Text = fmt.Sprintf("%#08x", n)
		return nil
	}
	serial := t.k.File(p+"/wwn/vpd_unit_serial", serialPrefix, 'b', nil)
	serial.Write = func(text string) error {
		if exported() || len(text) > 253 {
			return unix.EINVAL
		}
		serial.Text = serialPrefix + strings.TrimSpace(text)
		return nil
	}
}

// portGroup is a target port group of an object (ALUA).
func (t *Tree) portGroup(p string, def bool) {
	id := t.k.File(p+"/tg_pt_gp_id", "", 'b', nil)
	if def {
		id.Text = "0"
	}
	id.Read = func() string {
		if id.Text == "" {
			return "" // not given yet: nothing is read
		}
		return id.Text + "\n"
	}
	id.Write = func(text string) error {
		n, err := strconv.ParseUint(strings.TrimSpace(text), 0, 16)
		if err != nil || n == 0 || id.Text != "" {
			return unix.EINVAL
		}
		for _, other := range t.k.Children(path.Dir(p)) {
			if t.k.At(path.Dir(p)+"/"+other+"/tg_pt_gp_id").Text == strconv.FormatUint(n, 10) {
				return unix.EINVAL
			}
		}
		id.Text = strconv.FormatUint(n, 10)
		return nil
	}
	state := t.k.File(p+"/alua_access_state", "0", 'b', nil)
	state.Write = func(text string) error {
		n, err := strconv.ParseUint(strings.TrimSpace(text), 0, 8)
		if err != nil || id.Text == "" || n > 3 && n != 14 && n != 15 || n == 15 && t.opt.NoTransitioning {
			return unix.EINVAL
		}
		state.Text = strconv.FormatUint(n, 10)
		return nil
	}
	t.k.File(p+"/alua_access_status", "None", 'b', nil)
	access := t.k.File(p+"/alua_access_type", "Implicit and Explicit", 'b', nil)
	access.Write = func(text string) error {
		words := map[string]string{"0": "None", "1": "Implicit", "2": "Explicit", "3": "Implicit and Explicit"}
		word, ok := words[strings.TrimSpace(text)]
		if !ok {
			return unix.EINVAL
		}
		access.Text = word
		return nil
	}
	t.number(p+"/alua_write_metadata", "0", func(n uint64) bool { return n <= 1 })
	t.number(p+"/preferred", "0", func(n uint64) bool { return n <= 1 })
	t.number(p+"/nonop_delay_msecs", "100", func(uint64) bool { return true })
	t.k.File(p+"/members", "", 'r', nil).Read = func() string { return t.membersText(p) }
}
