package scstfake

import (
	"errors"
	"io/fs"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestErrors: what SCST answers to, by its documents and sources.
func TestErrors(t *testing.T) {
	k := New(Options{Stat: func(p string) (int64, error) {
		if p == "/there" {
			return 1 << 20, nil
		}
		return 0, unix.ENOENT
	}})
	k.StartDaemon()
	for _, c := range []struct {
		p, text string
		want    error
	}{
		{"handlers/vdisk_fileio/mgmt", "add_device d filename=/there; blocksize=4096\n", nil},
		{"handlers/vdisk_fileio/mgmt", "add_device d filename=/there", unix.EEXIST},
		{"handlers/vdisk_fileio/mgmt", "add_device e filename=/missing", unix.ENOENT},
		{"handlers/vdisk_fileio/mgmt", "add_device e", unix.EINVAL},
		{"handlers/vdisk_fileio/mgmt", "add_device e filename=/there; none=1", unix.EINVAL},
		{"handlers/vdisk_fileio/mgmt", "add_device e filename=/there; blocksize=1000", unix.EINVAL},
		{"handlers/vdisk_nullio/mgmt", "add_device " + strings.Repeat("x", 65), unix.EINVAL},
		{"handlers/vdisk_fileio/mgmt", "frobnicate d", unix.EINVAL},
		{"handlers/vdisk_fileio/mgmt", "del_device none", unix.EINVAL},
		{"handlers/none/mgmt", "add_device d", unix.ENOENT},
		{"devices/d/blocksize", "512", unix.EACCES},
		{"devices/d/usn", strings.Repeat("x", 21), unix.EINVAL},
		{"devices/d/naa_id", "0x3000000000000001", nil},
		{"devices/d/naa_id", "7000000000000001", unix.EINVAL},
		{"targets/iscsi/mgmt", "add_target t", nil},
		{"targets/iscsi/mgmt", "add_target t", unix.EEXIST},
		{"targets/iscsi/mgmt", "del_target none", unix.ENOENT},
		{"targets/iscsi/mgmt", "add_target_attribute t IncomingUser u short", unix.EINVAL},
		{"targets/iscsi/mgmt", "add_target_attribute t Colour blue", unix.EINVAL},
		{"targets/iscsi/mgmt", "del_target_attribute t IncomingUser u", unix.EINVAL},
		{"targets/iscsi/t/luns/mgmt", "add d 0", nil},
		{"targets/iscsi/t/luns/mgmt", "add d 0", unix.EEXIST},
		{"targets/iscsi/t/luns/mgmt", "add d 16384", unix.EINVAL},
		{"targets/iscsi/t/luns/mgmt", "add none 1", unix.EINVAL},
		{"targets/iscsi/t/luns/mgmt", "add d 1 colour=blue", unix.EINVAL},
		{"targets/iscsi/t/luns/mgmt", "del 5", unix.EINVAL},
		{"targets/iscsi/t/ini_groups/mgmt", "create g", nil},
		{"targets/iscsi/t/ini_groups/mgmt", "create g", unix.EEXIST},
		{"targets/iscsi/t/ini_groups/mgmt", "del none", unix.EINVAL},
		{"targets/iscsi/t/ini_groups/g/initiators/mgmt", "add *", nil},
		{"targets/iscsi/t/ini_groups/g/initiators/mgmt", "add *", unix.EEXIST},
		{"targets/iscsi/t/rel_tgt_id", "0", unix.EINVAL},
		{"targets/iscsi/t/rel_tgt_id", "70000", unix.EINVAL},
		{"targets/iscsi/t/enabled", "1", nil},
		{"targets/iscsi/mgmt", "add_target u", nil},
		{"targets/iscsi/u/rel_tgt_id", "2", nil}, // nobody looks before it is enabled
		{"targets/iscsi/u/enabled", "1", unix.EBADSLT},
		{"device_groups/mgmt", "create dg", nil},
		{"device_groups/dg/devices/mgmt", "add none", unix.EINVAL},
		{"device_groups/dg/target_groups/mgmt", "add tg", nil},
		{"device_groups/dg/target_groups/tg/group_id", "0", unix.EINVAL},
		{"device_groups/dg/target_groups/tg/state", "asleep", unix.EINVAL},
		{"last_sysfs_mgmt_res", "0", unix.ENOENT},
	} {
		err := k.WriteFile(c.p, c.text)
		if c.want == nil && err != nil || c.want != nil && !errors.Is(err, c.want) {
			t.Errorf("%q to %s: %v, want %v", c.text, c.p, err, c.want)
		}
	}
	if text, err := k.ReadFile("devices/d/naa_id"); err != nil || text != "0x3000000000000001\n[key]\n" {
		t.Errorf("naa_id reads %q, %v", text, err)
	}
	if text, err := k.ReadFile("targets/iscsi/t/rel_tgt_id"); err != nil || text != "2\n[key]\n" /* the loopback's own has the first */ {
		t.Errorf("rel_tgt_id reads %q, %v", text, err)
	}
	if _, err := k.ReadFile("devices/d/resync_size"); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("a file that is only written: %v", err)
	}
}

// TestEAGAIN: accepted, running, and then the result, for whoever asks.
func TestEAGAIN(t *testing.T) {
	k := New(Options{EAGAIN: true})
	again := func(err error) {
		t.Helper()
		if !errors.Is(err, unix.EAGAIN) {
			t.Fatalf("%v, want EAGAIN", err)
		}
	}
	again(k.WriteFile("handlers/vdisk_nullio/mgmt", "add_device d"))
	if _, err := k.Readlink("devices/d/handler"); !errors.Is(err, unix.ENOENT) {
		t.Errorf("it is there at once: %v", err)
	}
	for range 2 {
		_, err := k.ReadFile("last_sysfs_mgmt_res")
		again(err)
	}
	if text, err := k.ReadFile("last_sysfs_mgmt_res"); err != nil || text != "0\n" {
		t.Errorf("result %q, %v", text, err)
	}
	if to, err := k.Readlink("devices/d/handler"); err != nil || to != "handlers/vdisk_nullio" {
		t.Errorf("leads to %q, %v", to, err)
	}
	again(k.WriteFile("handlers/vdisk_nullio/mgmt", "add_device d"))
	again(k.WriteFile("handlers/vdisk_nullio/mgmt", "add_device e"))
	if k.Raced() != 1 {
		t.Errorf("raced %d times", k.Raced())
	}
	for range 3 {
		if text, err := k.ReadFile("last_sysfs_mgmt_res"); err == nil && text != "0\n" {
			t.Errorf("result %q: that of the first one, whose place the second has taken", text)
		}
	}
	again(k.WriteFile("handlers/vdisk_nullio/mgmt", "add_device e"))
	text, err := "", error(unix.EAGAIN)
	for errors.Is(err, unix.EAGAIN) {
		text, err = k.ReadFile("last_sysfs_mgmt_res")
	}
	if err != nil || text != "-17\n" {
		t.Errorf("result %q, %v, want -EEXIST", text, err)
	}
	n := 0
	for range 8 {
		if _, err := k.ReadFile("devices/d/size"); err == nil {
			n++
		}
	}
	if n != 2 {
		t.Errorf("%d of 8 reads are answered, want 2", n)
	}
}
