package block

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/esos-project/esos/internal/host"
)

// golden reads a file of testdata. wipefs-*.json and flat.json are what Debian
// 13's tools print; stack.json is of the same machine, put into the tree that
// lsblk prints when it is asked for NAME.
func golden(t testing.TB, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// canned answers calls with what it was given, by the program's name, and
// resolves links.
type canned struct {
	out   map[string]string
	links map[string]string
	calls []string
	blank bool
	err   error
}

func (c *canned) Output(_ context.Context, call host.Call) ([]byte, error) {
	c.calls = append(c.calls, call.String())
	return []byte(c.out[call.Name]), c.err
}

func (c *canned) ReadDir(string) ([]string, error) {
	var names []string
	for l := range c.links {
		if name, ok := strings.CutPrefix(l, "/dev/disk/by-id/"); ok {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names, nil
}

func (c *canned) ReadFile(p string) ([]byte, error) {
	if text, ok := c.out[p]; ok {
		return []byte(text), nil
	}
	return nil, os.ErrNotExist
}

func (c *canned) Real(p string) string {
	if to, ok := c.links[p]; ok {
		return to
	}
	return p
}

func (c *canned) Blank(string) (bool, error) { return c.blank, nil }

func TestRead(t *testing.T) {
	const lvm = "LVM-BwL3l2ssoX43PgQMYhXkijwbI3CJBqEgEiaO0X8p0vAojGCoceenWrDe63iusDxb"
	m := &canned{out: map[string]string{"lsblk": string(golden(t, "stack.json")), "/sys/class/block/dm-3/dm/uuid": lvm + "-pool\n", "/sys/class/block/dm-4/dm/uuid": lvm + "\n"}, links: map[string]string{
		"/dev/disk/by-id/virtio-d1": "/dev/vda", "/dev/vg0/db01": "/dev/dm-4", "/dev/md/r6": "/dev/md127",
		"/dev/disk/by-id/usb-QEMU_QEMU_HARDDISK_1-0:0": "/dev/sda", "/dev/disk/by-id/wwn-0x5000c500a1b2c3d4": "/dev/vda",
		"/mnt/images/sda": "/mnt/images/sda",
	}}
	inv, err := Read(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(m.calls[0], " NAME,KNAME,") {
		t.Errorf("without NAME lsblk prints no tree: %s", m.calls[0])
	}
	stacks := map[string][2][]string{} // below, above
	for _, d := range inv.Devices() {
		stacks[d.Name] = [2][]string{d.Below, d.Above}
	}
	for name, want := range map[string][2][]string{
		"vda":   {nil, {"md127"}},
		"vdf":   {nil, {"md127"}},
		"md127": {{"vda", "vdb", "vdc", "vdd", "vde", "vdf"}, {"dm-0", "dm-1", "dm-6", "dm-9", "dm-10"}},
		"dm-2":  {{"dm-0", "dm-1"}, {"dm-3", "dm-4", "dm-5"}},
		"sda":   {nil, {"sda1", "sda2", "sda3", "sda4", "sda5"}},
		"dm-11": {{"vdg"}, nil},
		"vdi":   {nil, nil},
	} {
		if diff := cmp.Diff(want, stacks[name]); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	sda, _ := inv.Find("/dev/disk/by-id/usb-QEMU_QEMU_HARDDISK_1-0:0")
	want := Device{Name: "sda", Path: "/dev/sda", Type: "disk", Number: "8:0", Size: 8 << 30, Sector: 512, Physical: 512, Rotational: true, Removable: true,
		Model: "QEMU HARDDISK", Vendor: "QEMU", Serial: "1-0000:00:03.0-1", Transport: "usb", Address: "6:0:0:0", State: "running", Table: "gpt",
		Above: []string{"sda1", "sda2", "sda3", "sda4", "sda5"}, Links: []string{"/dev/disk/by-id/usb-QEMU_QEMU_HARDDISK_1-0:0"}}
	if diff := cmp.Diff(want, sda); diff != "" {
		t.Error(diff)
	}
	images, _ := inv.Named("dm-10")
	if images.Signature != "xfs" || !slices.Equal(images.Mounts, []string{"/mnt/vdisks/images"}) {
		t.Errorf("%+v", images)
	}
	if d, ok := inv.Find("/dev/vg0/db01"); !ok || d.Name != "dm-4" {
		t.Errorf("/dev/vg0/db01 is %+v", d)
	}
	if d, ok := inv.Find("/mnt/images/sda"); ok {
		t.Errorf("an image file called sda is taken for %+v", d)
	}
	pool, _ := inv.Named("dm-3")
	thin, _ := inv.Named("dm-4")
	if !pool.Inner() || thin.Inner() || images.Inner() {
		t.Error("a thin pool is taken for a volume, or a volume for a pool")
	}
	part, _ := inv.Named("sda4")
	if whole := inv.Disk(part); whole.Name != "sda" {
		t.Errorf("sda4 is on %s", whole.Name)
	}
	if media := Media(inv); !cmp.Equal(media, map[string]bool{"sda": true}) {
		t.Errorf("boot media: %v", media)
	}
}

// TestListIsNoTree: what lsblk prints without NAME does not say what is
// mounted where; nothing may be decided by it.
func TestListIsNoTree(t *testing.T) {
	if _, err := parse(golden(t, "flat.json"), nil); err == nil || !strings.Contains(err.Error(), "partition vda1 without its disk") {
		t.Errorf("%v", err)
	}
}

func TestParse(t *testing.T) {
	for name, c := range map[string]struct{ text, err string }{
		"nothing":      {"", "lsblk's answer"},
		"itself":       {`{"blockdevices":[{"kname":"a","children":[{"kname":"b","children":[{"kname":"a"}]}]}]}`, "standing on itself"},
		"no name":      {`{"blockdevices":[{"kname":null}]}`, ""},
		"list, PKNAME": {`{"blockdevices":[{"kname":"a1","type":"part","pkname":"a"},{"kname":"a","type":"disk"}]}`, ""},
	} {
		_, err := parse([]byte(c.text), nil)
		if (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%s: %v", name, err)
		}
	}
	inv, err := parse([]byte(`{"blockdevices":[{"kname":"a","type":"disk","model":"bad\u001b[31m","serial":" 1 "}]}`), nil)
	if err != nil {
		t.Fatal(err)
	}
	if d := inv.Devices()[0]; d.Model != "bad[31m" || d.Serial != "1" {
		t.Errorf("%q %q", d.Model, d.Serial)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(golden(f, "stack.json"))
	f.Add(golden(f, "flat.json"))
	f.Add([]byte(`{"blockdevices":[{"kname":"a","children":[{"kname":"b","children":[{"kname":"a"}]}]}]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		inv, err := parse(text, nil)
		if err != nil {
			return
		}
		Media(inv) // ends
		for _, d := range inv.Devices() {
			for _, name := range d.Below {
				below, ok := inv.Named(name)
				if !ok || !slices.Contains(below.Above, d.Name) {
					t.Errorf("%s stands on %s, which does not know", d.Name, name)
				}
			}
			for _, s := range []string{d.Model, d.Serial, d.Label} {
				if strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' }) {
					t.Errorf("%q steers the terminal", s)
				}
			}
		}
	})
}

func TestLinksBestFirst(t *testing.T) {
	m := &canned{out: map[string]string{"lsblk": `{"blockdevices":[{"kname":"nvme0n1","type":"disk"}]}`}, links: map[string]string{}}
	for _, l := range []string{"wwn-0x1", "nvme-eui.0025", "nvme-Samsung_S1", "scsi-35000", "lvm-pv-uuid-x"} {
		m.links["/dev/disk/by-id/"+l] = "/dev/nvme0n1"
	}
	inv, err := Read(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	d, _ := inv.Named("nvme0n1")
	if d.Friendly() != "nvme-Samsung_S1" || filepath.Base(d.Links[1]) != "scsi-35000" {
		t.Errorf("%v", d.Links)
	}
}

func TestReadFails(t *testing.T) {
	boom := errors.New("boom")
	if _, err := Read(t.Context(), &canned{err: boom}); !errors.Is(err, boom) || !strings.Contains(err.Error(), "list the block devices") {
		t.Error(err)
	}
}
