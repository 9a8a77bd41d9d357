package devices_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gdamore/tcell/v2"

	"github.com/esos-project/esos/internal/api/apitest"
	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/engine"
	"github.com/esos-project/esos/internal/engine/enginetest"
	"github.com/esos-project/esos/internal/host/storagefake"
	"github.com/esos-project/esos/internal/tui/devices"
	"github.com/esos-project/esos/internal/tui/frame"
	"github.com/esos-project/esos/internal/tui/tuitest"
)

const (
	mail   = "iqn.2026-11.com.example:mail"
	alice  = "iqn.2026-11.com.example:alice"
	backup = "iqn.2026-11.com.example:backup"
)

const document = `version: 1
name: vault
id: 0f7f2c1a-9a53-4a0e-8a4e-1b2c3d4e5f60
devices:
  - {name: db01, handler: vdisk_nullio, size: 10GiB}
  - {name: db02, handler: vdisk_nullio, size: 20GiB, read_only: true}
  - {name: cd, handler: vcdrom}
iscsi:
  portals: [{name: front, address: "192.0.2.10:3260"}]
targets:
  - name: ` + mail + `
    groups:
      - {name: hosts, initiators: [` + alice + `, "iqn.2026-11.com.example:b*"], luns: [{lun: 0, device: db01}]}
      - {name: backup, initiators: [` + backup + `]}
    luns: [{lun: 3, device: db02, read_only: true}]
`

const withFiles = `storage:
  filesystems: [{name: images, device: /dev/disk/by-id/virtio-d3}]
`

const (
	disc     = "/mnt/vdisks/images/debian.iso"
	discSize = 1 << 20
)

func TestMain(m *testing.M) { os.Exit(apitest.Main(m)) }

func options(text string) apitest.Options { return apitest.Options{Document: text, Disks: 3} }

// begin has alice log in to mail, and puts a CD where iso says.
func begin(t *testing.T, a *apitest.Array) {
	t.Helper()
	if a.Native() {
		a.Stay(t, "front", mail, alice)
		if err := os.WriteFile(iso(a), make([]byte, discSize), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	a.Engine.SetSessions(engine.Session{ID: "1", Target: mail, Group: "hosts", Initiator: alice, Address: "192.0.2.20:51000", LUNs: 1})
	_ = (storagefake.Images{Machine: a.Disks}).Create(t.Context(), iso(a), discSize, false, func(int64) {}) // not without the file system
}

// iso is a file with a CD: on the file system that is imitated, or on this
// machine's where what is served is real.
func iso(a *apitest.Array) string {
	if a.Native() {
		return filepath.Join(a.Data, "debian.iso")
	}
	return disc
}

// blockDevice is part of the name of a block device: one that is imitated, or
// of this machine where what is served is real.
func blockDevice(t *testing.T, a *apitest.Array) (name string) {
	t.Helper()
	if !a.Native() {
		return "d2"
	}
	if os.Geteuid() != 0 {
		t.Skip("NOT TESTED: block devices with engine native; making a loop device takes root")
	}
	file := filepath.Join(t.TempDir(), "disk")
	if err := errors.Join(os.WriteFile(file, nil, 0o600), os.Truncate(file, loopSize)); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("losetup", "--find", "--show", file).CombinedOutput()
	if err != nil {
		t.Skipf("NOT TESTED: block devices with engine native; this machine makes no loop devices: %v: %s", err, out)
	}
	device := strings.TrimSpace(string(out))
	t.Cleanup(func() {
		if out, err := exec.Command("losetup", "--detach", device).CombinedOutput(); err != nil {
			t.Errorf("detach %s: %v: %s", device, err, out)
		}
	})
	name = filepath.Base(device)
	a.Disks.Add(&storagefake.Device{Name: name, Type: "disk", Size: loopSize, Model: "Real"})
	return name
}

const loopSize = 64 << 20

func luns(t *testing.T, a *apitest.Array, group string) []config.LUN {
	t.Helper()
	m, err := a.Document().LUNMap(mail, group)
	if err != nil {
		t.Fatal(err)
	}
	return *m
}

func TestShown(t *testing.T) {
	t.Parallel()
	tuitest.Both(t, options(document), begin, []tuitest.Step{
		{Name: "D1 LUN/Group layout", Do: func(t *testing.T, c *tuitest.Console, a *apitest.Array) {
			c.Entry(devices.Menu(), "LUN/Group Layout")
			for _, text := range []string{mail, "group hosts", "initiator " + alice, "LUN 0", "db01", "default map", "LUN 3"} {
				c.Shows(text)
			}
			c.Golden("layout")
			c.Press(tcell.KeyEnd, tcell.KeyEnter)
			c.Shows("Device db02")
		}},
		{Name: "D2 device information", Do: func(t *testing.T, c *tuitest.Console, a *apitest.Array) {
			c.Entry(devices.Menu(), "Device Information")
			c.Golden("list")
			c.Enter()
			for _, text := range []string{"vdisk_nullio", "10 GiB", "Block size", "512", "Write-through", "Removable", "Rotational", "Serial", "NAA", "LUN 0 of " + mail + " group hosts"} {
				c.Shows(text)
			}
			c.Golden("information")
		}},
		{Name: "menu", Do: func(t *testing.T, c *tuitest.Console, a *apitest.Array) {
			c.In(func(d *frame.Desk) { d.Home(); d.Menu(devices.Menu()) })
			c.Golden("menu")
		}},
	})
}

func TestEmpty(t *testing.T) {
	t.Parallel()
	a := apitest.New(t, options("version: 1\nname: vault\n"))
	c := tuitest.New(t, tuitest.Options{Client: a.Client})
	for entry, says := range map[string]string{
		"LUN/Group Layout": "There is no target yet", "Device Information": "There is no device yet", "Remove Device": "There is no device",
		"Map to Host Group": "There is no target yet", "Unmap from Host Group": "There is no LUN",
	} {
		c.Entry(devices.Menu(), entry)
		c.Shows(says)
	}
	c.Entry(devices.Menu(), "Device Information")
	c.Golden("empty")
}

// TestNotThis: what cannot be done to a device of the list is said.
func TestNotThis(t *testing.T) {
	t.Parallel()
	a := apitest.New(t, options(document))
	c := tuitest.New(t, tuitest.Options{Client: a.Client})
	c.Entry(devices.Menu(), "Device Information")
	c.Wait("db01")
	c.Type("i")
	c.Wait("is no CD-ROM drive")
	c.Golden("no-drive")
	c.Enter()
	c.Press(tcell.KeyEnd)
	c.Type("r")
	c.Wait("This cannot be resized here")
	c.Golden("no-resize")
}

// scst imitates an engine in the kernel.
type scst struct{ *enginetest.Memory }

// Name is that of the engine in the document.
func (scst) Name() string { return "scst" }

// TestPassed: an engine in the kernel passes SCSI devices on.
func TestPassed(t *testing.T) {
	t.Parallel()
	o := options("version: 1\nname: vault\nengine: scst\n")
	o.Engine = scst{&enginetest.Memory{}}
	a := apitest.New(t, o)
	c := tuitest.New(t, tuitest.Options{Client: a.Client})
	c.Entry(devices.Menu(), "Add Device")
	c.Field("tape")
	c.Choose("dev_disk")
	c.Wait("SCSI device")
	c.Type(" ")
	c.Golden("choose-scsi-device")
}

func TestAdd(t *testing.T) {
	t.Parallel()
	added := func(t *testing.T, c *tuitest.Console, a *apitest.Array, name string) config.Device {
		t.Helper()
		c.CarryOut()
		d, err := a.Document().FindDevice(name)
		if err != nil {
			t.Fatalf("%v:\n%s", err, c.Text())
		}
		return *d
	}
	tuitest.Both(t, options(document+withFiles), begin, []tuitest.Step{
		{Name: "D3 add device: null", Do: func(t *testing.T, c *tuitest.Console, a *apitest.Array) {
			c.Entry(devices.Menu(), "Add Device")
			c.Golden("add")
			c.Type("db01")
			c.Shows("db01 is there already")
			c.Field("null1")
			c.Type(" ")
			c.Golden("handlers")
			c.Type("dev_tape")
			c.Enter()
			c.Shows("(native) passes no SCSI")
			c.Escape() // the filter
			c.Picked("nullio")
			c.Field("10 bananas") // size
			c.Press(tcell.KeyBacktab)
			c.Shows("a size such as 10GiB")
			c.Field("1.5TiB")
			c.Type(" ")
			c.Golden("choose-block-size")
			c.Escape()
			c.Choose("4096")
			c.Type(" ") // write-through
			c.Press(tcell.KeyTab, tcell.KeyTab, tcell.KeyTab)
			c.Type(" ") // rotational
			c.Golden("add-null")
			c.Press(tcell.KeyTab, tcell.KeyTab, tcell.KeyEnter)
			c.Shows("4096 --write-through --rotational")
			d := added(t, c, a, "null1")
			if d.Handler != config.NullIO || d.Size != 3<<39 || d.BlockSize != 4096 || !d.WriteThrough || !d.Rotational || d.ReadOnly {
				t.Errorf("made %+v", d)
			}
		}},
		{Name: "D3 add device: image file", Do: func(t *testing.T, c *tuitest.Console, a *apitest.Array) {
			c.Entry(devices.Menu(), "Add Device")
			c.Field("mail01")
			c.Press(tcell.KeyTab) // vdisk_fileio
			c.Type(" ")
			c.Golden("files")
			file, where := "/mnt/vdisks/images/mail01.img", "images/name"
			if a.Native() {
				file, where = "devices/mail01.img", "data directory"
			}
			c.Picked(where)
			c.Field("100MiB")
			c.Type(" ") // thick
			c.Press(tcell.KeyTab, tcell.KeyTab, tcell.KeyTab, tcell.KeyTab, tcell.KeyTab, tcell.KeyTab, tcell.KeyTab)
			c.Type(" ") // identity
			c.Press(tcell.KeyTab)
			c.Field("SN-4711")
			c.Field("6001405")
			c.Press(tcell.KeyBacktab)
			c.Shows("16 hex digits that begin with 2, 3 or 5")
			c.Field("")
			c.Golden("identity")
			c.Press(tcell.KeyTab, tcell.KeyTab, tcell.KeyTab, tcell.KeyTab, tcell.KeyEnter)
			d := added(t, c, a, "mail01")
			if d.Path != file || d.Size != 100<<20 || d.Provisioning != config.Thick || d.Identity.Serial != "SN-4711" {
				t.Errorf("made %+v", d)
			}
		}},
		{Name: "D3 add device: CD-ROM drive", Do: func(t *testing.T, c *tuitest.Console, a *apitest.Array) {
			c.Entry(devices.Menu(), "Add Device")
			c.Field("install")
			c.Choose("vcdrom")
			c.Type(" ")
			c.Golden("choose-iso-file")
			c.Escape()
			c.Choose("typed")
			c.Field(iso(a))
			c.Press(tcell.KeyTab, tcell.KeyEnter)
			if d := added(t, c, a, "install"); d.Handler != config.CDROM || d.Path != iso(a) {
				t.Errorf("made %+v", d)
			}
		}},
		{Name: "D5 map to host group: what was added", Do: func(t *testing.T, c *tuitest.Console, a *apitest.Array) {
			mapToBackup(c, "null1", "mail01", "install")
			if got := luns(t, a, "backup"); len(got) != 3 {
				t.Errorf("LUNs %+v", got)
			}
		}, Served: func(t *testing.T, a *apitest.Array) {
			a.Sees(t, "front", mail, backup, map[uint16]uint64{0: 3 << 39, 1: 100 << 20, 2: discSize})
		}},
		{Name: "D3 add device: block device", Do: func(t *testing.T, c *tuitest.Console, a *apitest.Array) {
			disk := blockDevice(t, a)
			c.Entry(devices.Menu(), "Add Device")
			c.Field("fast")
			c.Choose("vdisk_blockio")
			c.Type(" ")
			c.Golden("disks")
			c.Picked(disk)
			c.Press(tcell.KeyBacktab, tcell.KeyBacktab, tcell.KeyBacktab, tcell.KeyBacktab) // back over the name to Cancel
			c.Press(tcell.KeyLeft, tcell.KeyEnter)
			d := added(t, c, a, "fast")
			if d.Handler != config.BlockIO || !strings.Contains(d.Path, disk) || d.Size != 0 {
				t.Errorf("made %+v", d)
			}
			mapToBackup(c, "fast")
		}, Served: func(t *testing.T, a *apitest.Array) {
			a.Sees(t, "front", mail, backup, map[uint16]uint64{0: 3 << 39, 1: 100 << 20, 2: discSize, 3: loopSize})
		}},
	})
}

// mapToBackup maps devices to the group backup, at the next numbers.
func mapToBackup(c *tuitest.Console, names ...string) {
	c.Entry(devices.Menu(), "Map to Host Group")
	c.Mark(names...)
	c.Press(tcell.KeyTab)
	c.Choose("backup")
	if len(names) == 1 {
		c.Press(tcell.KeyTab) // the number
	}
	c.Press(tcell.KeyTab, tcell.KeyEnter) // read-only, Map
	c.CarryOut()
}

func TestLUNs(t *testing.T) {
	t.Parallel()
	tuitest.Both(t, options(document), begin, []tuitest.Step{
		{Name: "D5 map to host group", Do: func(t *testing.T, c *tuitest.Console, a *apitest.Array) {
			c.Entry(devices.Menu(), "Map to Host Group")
			c.Golden("map")
			c.Mark("db01")
			c.Type(" ")
			c.Golden("choose-target")
			c.Escape()
			c.Press(tcell.KeyTab) // the only target is chosen
			c.Type(" ")
			c.Golden("groups")
			c.Picked("hosts")
			c.Shows("now 1")
			c.Type("0")
			c.Shows("LUN 0 leads to device db01 already")
			c.Field("7")
			c.Type(" ") // read-only
			c.Press(tcell.KeyTab, tcell.KeyEnter)
			c.Shows("esos lun map " + mail + " db01 --group hosts --lun 7")
			c.CarryOut()
			if got := luns(t, a, "hosts"); len(got) != 2 || got[1] != (config.LUN{LUN: 7, Device: "db01", ReadOnly: true}) {
				t.Errorf("LUNs %+v", got)
			}
		}, Served: func(t *testing.T, a *apitest.Array) {
			a.Sees(t, "front", mail, alice, map[uint16]uint64{0: 10 << 30, 7: 10 << 30})
			a.Sees(t, "front", mail, backup, nil)
		}},
		{Name: "D5 map to host group: several, next numbers", Do: func(t *testing.T, c *tuitest.Console, a *apitest.Array) {
			mapToBackup(c, "db01", "db02")
			if got := luns(t, a, "backup"); len(got) != 2 || got[0] != (config.LUN{LUN: 0, Device: "db01"}) || got[1] != (config.LUN{LUN: 1, Device: "db02"}) {
				t.Errorf("LUNs %+v", got)
			}
		}, Served: func(t *testing.T, a *apitest.Array) {
			a.Sees(t, "front", mail, backup, map[uint16]uint64{0: 10 << 30, 1: 20 << 30})
		}},
		{Name: "D6 unmap from host group", Do: func(t *testing.T, c *tuitest.Console, a *apitest.Array) {
			c.Entry(devices.Menu(), "Unmap from Host Group")
			c.Golden("unmap")
			c.Picked("db02")
			c.CarryOut()
			if got := luns(t, a, "backup"); len(got) != 1 || got[0].Device != "db01" {
				t.Errorf("LUNs %+v", got)
			}
		}, Served: func(t *testing.T, a *apitest.Array) {
			a.Sees(t, "front", mail, backup, map[uint16]uint64{0: 10 << 30})
		}},
		{Name: "D4 remove device", Do: func(t *testing.T, c *tuitest.Console, a *apitest.Array) {
			c.Entry(devices.Menu(), "Remove Device")
			c.Golden("remove")
			c.Picked("db01")
			c.Shows("LUN 0 of " + mail + " group hosts")
			c.Shows("Logged in, and see it")
			c.Golden("in-use")
			c.Press(tcell.KeyLeft, tcell.KeyEnter)
			c.Shows("esos device delete db01 --unmap")
			c.Press(tcell.KeyEnd)
			c.Destroy("device/db01")
			if _, err := a.Document().FindDevice("db01"); err == nil {
				t.Error("db01 is still there")
			}
			if got := luns(t, a, "hosts"); len(got) != 0 {
				t.Errorf("LUNs %+v", got)
			}
		}, Served: func(t *testing.T, a *apitest.Array) {
			a.Sees(t, "front", mail, alice, nil)
			a.Sees(t, "front", mail, "iqn.2026-11.com.example:mallory", map[uint16]uint64{3: 20 << 30}) // the default map is as it was
		}},
		{Name: "D4 remove device: none was named", Do: func(t *testing.T, c *tuitest.Console, a *apitest.Array) {
			before := a.Revisions()
			c.Entry(devices.Menu(), "Remove Device")
			c.Picked("cd")
			c.Wait("Press c to carry this out")
			c.Escape()
			if a.Revisions() != before {
				t.Error("something was changed without a confirmation")
			}
		}},
	})
}

func TestMore(t *testing.T) {
	t.Parallel()
	tuitest.Both(t, options(document+withFiles), begin, []tuitest.Step{
		{Name: "resize", Do: func(t *testing.T, c *tuitest.Console, a *apitest.Array) {
			c.Entry(devices.Menu(), "Resize Device")
			c.Golden("resize-device")
			c.Type("cd")
			c.Enter()
			c.Shows("a CD is as large as its file")
			c.Escape()
			c.Picked("db01")
			c.Type("5GiB")
			c.Shows("larger than that")
			c.Field("+5GiB")
			c.Golden("resize")
			c.Enter()
			c.CarryOut()
			if d, err := a.Document().FindDevice("db01"); err != nil || d.Size != 15<<30 {
				t.Errorf("%+v %v", d, err)
			}
		}, Served: func(t *testing.T, a *apitest.Array) {
			a.Sees(t, "front", mail, alice, map[uint16]uint64{0: 15 << 30})
		}},
		{Name: "change", Do: func(t *testing.T, c *tuitest.Console, a *apitest.Array) {
			c.Entry(devices.Menu(), "Change Device")
			c.Golden("change-device")
			c.Picked("db01")
			c.Golden("change")
			c.Press(tcell.KeyTab, tcell.KeyTab)
			c.Type(" ") // removable
			c.Press(tcell.KeyTab, tcell.KeyTab, tcell.KeyTab, tcell.KeyTab, tcell.KeyTab)
			c.Field("BIGCO")
			c.Press(tcell.KeyTab, tcell.KeyTab, tcell.KeyEnter)
			c.Shows("esos device set db01 --removable --vendor BIGCO")
		}},
		{Name: "CD-ROM drive", Do: func(t *testing.T, c *tuitest.Console, a *apitest.Array) {
			c.Entry(devices.Menu(), "Insert or Eject CD")
			c.Golden("insert-or-eject-cd")
			c.Type("db01")
			c.Enter()
			c.Shows("it is no CD-ROM drive")
			c.Escape()
			c.Picked("cd")
			c.Golden("medium")
			c.Press(tcell.KeyTab, tcell.KeyEnter)
			c.Shows("The array is like that already")
			c.Golden("no-changes")
			for _, path := range []string{iso(a), ""} {
				c.Entry(devices.Menu(), "Insert or Eject CD")
				c.Picked("cd")
				if path == "" {
					c.Choose("empty")
				} else {
					c.Type(" ")
					c.Golden("choose-in-the-drive")
					c.Escape()
					c.Choose("typed")
					c.Field(path)
				}
				c.Enter()
				c.CarryOut()
				if d, err := a.Document().FindDevice("cd"); err != nil || d.Path != path {
					t.Errorf("in the drive: %+v %v", d, err)
				}
			}
		}},
	})
}
