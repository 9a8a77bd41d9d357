package scstfake

import (
	"fmt"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"
)

// tuning adds the attributes of a device that say who works for it
// (scst_dev_sysfs_threads_num_store, scst_dev_sysfs_threads_pool_type_store).
func (t *Tree) tuning(at string) {
	t.number(at+"/threads_num", 1, 0, 1000)
	t.oneOf(at+"/threads_pool_type", "per_initiator", "shared")
}

// access adds those of a target or a host group (scst_acg_attrs).
func (t *Tree) access(at string) {
	t.oneOf(at+"/addr_method", "PERIPHERAL", "FLAT", "LUN")
	t.oneOf(at+"/io_grouping_type", "auto", "this_group_only", "never")
	t.number(at+"/black_hole", 0, 0, 4)
	mask := t.k.File(at+"/cpu_mask", "00000003", 'b', nil)
	mask.Write = func(text string) error {
		v, err := strconv.ParseUint(text, 16, 32)
		if err != nil || v == 0 {
			return t.refuse(unix.EINVAL, "cpu_mask %q is invalid", text)
		}
		mask.Text, mask.Key = fmt.Sprintf("%08x", v), true
		return nil
	}
}

// number adds a number within bounds.
func (t *Tree) number(p string, fallback, least, most int64) {
	n := t.k.File(p, strconv.FormatInt(fallback, 10), 'b', nil)
	n.Write = func(text string) error {
		v, err := strconv.ParseInt(text, 0, 64)
		if err != nil || v < least || v > most {
			return t.refuse(unix.EINVAL, "Invalid value %s", text)
		}
		n.Text, n.Key = strconv.FormatInt(v, 10), v != fallback
		return nil
	}
}

// oneOf adds a choice, with its fallback first.
func (t *Tree) oneOf(p string, words ...string) {
	n := t.k.File(p, words[0], 'b', nil)
	n.Write = func(text string) error {
		if !slices.Contains(words, text) {
			return t.refuse(unix.EINVAL, "Unknown or not allowed value %s", text)
		}
		n.Text, n.Key = text, text != words[0]
		return nil
	}
}
