package devices_test

import (
	"strings"
	"testing"

	"github.com/gdamore/tcell/v2"

	"github.com/esos-project/esos/internal/api/apitest"
	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/engine"
	"github.com/esos-project/esos/internal/host/storagefake"
	"github.com/esos-project/esos/internal/tui/devices"
	"github.com/esos-project/esos/internal/tui/frame"
	"github.com/esos-project/esos/internal/tui/tuitest"
)

const (
	mail  = "iqn.2026-11.com.example:mail"
	alice = "iqn.2026-11.com.example:alice"
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
      - {name: backup, initiators: [iqn.2026-11.com.example:backup]}
    luns: [{lun: 3, device: db02, read_only: true}]
`

const withFiles = `storage:
  filesystems: [{name: images, device: /dev/disk/by-id/virtio-d3}]
`

const disc = "/mnt/vdisks/images/debian.iso"

// iso puts a CD on the file system.
func iso(t *testing.T, a *apitest.Array) {
	t.Helper()
	if err := (storagefake.Images{Machine: a.Disks}).Create(t.Context(), disc, 600<<20, false, func(int64) {}); err != nil {
		t.Fatal(err)
	}
}

func array(t *testing.T, text string) (*apitest.Array, *tuitest.Console) {
	t.Helper()
	a := apitest.New(t, apitest.Options{Document: text, Disks: 3})
	a.Engine.SetSessions(engine.Session{ID: "1", Target: mail, Group: "hosts", Initiator: alice, Address: "192.0.2.20:51000", LUNs: 1})
	return a, tuitest.New(t, tuitest.Options{Client: a.Client})
}

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
	_, c := array(t, document)
	t.Run("D1 LUN/Group layout", func(t *testing.T) {
		c.Entry(devices.Menu(), "LUN/Group Layout")
		for _, text := range []string{mail, "group hosts", "initiator " + alice, "LUN 0", "db01", "default map", "LUN 3"} {
			c.Shows(text)
		}
		c.Picture("layout")
		c.Press(tcell.KeyEnd, tcell.KeyEnter)
		c.Shows("Device db02")
	})
	t.Run("D2 device information", func(t *testing.T) {
		c.Entry(devices.Menu(), "Device Information")
		c.Picture("list")
		c.Enter()
		for _, text := range []string{"vdisk_nullio", "10 GiB", "Block size", "512", "Write-through", "Removable", "Rotational", "Serial", "NAA", "LUN 0 of " + mail + " group hosts"} {
			c.Shows(text)
		}
		c.Picture("information")
	})
	t.Run("menu", func(t *testing.T) {
		c.In(func(d *frame.Desk) { d.Home(); d.Menu(devices.Menu()) })
		c.Picture("menu")
	})
}

func TestEmpty(t *testing.T) {
	t.Parallel()
	_, c := array(t, "version: 1\nname: vault\n")
	for entry, says := range map[string]string{
		"LUN/Group Layout": "There is no target yet", "Device Information": "There is no device yet", "Remove Device": "There is no device",
		"Map to Host Group": "There is no target yet", "Unmap from Host Group": "There is no LUN",
	} {
		c.Entry(devices.Menu(), entry)
		c.Shows(says)
	}
	c.Entry(devices.Menu(), "Device Information")
	c.Picture("empty")
}

func TestAdd(t *testing.T) {
	t.Parallel()
	a, c := array(t, document+withFiles)
	iso(t, a)
	added := func(t *testing.T, name string) config.Device {
		t.Helper()
		c.CarryOut()
		d, err := a.Document().FindDevice(name)
		if err != nil {
			t.Fatalf("%v:\n%s", err, c.Text())
		}
		return *d
	}
	t.Run("D3 add device: null", func(t *testing.T) {
		c.Entry(devices.Menu(), "Add Device")
		c.Picture("add")
		c.Type("db01")
		c.Shows("db01 is there already")
		c.Field("null1")
		c.Type(" ")
		c.Picture("handlers")
		c.Type("dev_tape")
		c.Enter()
		c.Shows("(native) passes no SCSI")
		c.Escape() // the filter
		c.Picked("nullio")
		c.Field("10 bananas") // size
		c.Press(tcell.KeyBacktab)
		c.Shows("a size such as 10GiB")
		c.Field("1.5TiB")
		c.Choose("4096")
		c.Type(" ") // write-through
		c.Press(tcell.KeyTab, tcell.KeyTab, tcell.KeyTab)
		c.Type(" ") // rotational
		c.Picture("add-null")
		c.Press(tcell.KeyTab, tcell.KeyTab, tcell.KeyEnter)
		c.Shows("4096 --write-through --rotational")
		d := added(t, "null1")
		if d.Handler != config.NullIO || d.Size != 3<<39 || d.BlockSize != 4096 || !d.WriteThrough || !d.Rotational || d.ReadOnly {
			t.Errorf("made %+v", d)
		}
	})
	t.Run("D3 add device: image file", func(t *testing.T) {
		c.Entry(devices.Menu(), "Add Device")
		c.Field("mail01")
		c.Press(tcell.KeyTab) // vdisk_fileio
		c.Type(" ")
		c.Picture("files")
		c.Picked("images/name")
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
		c.Picture("identity")
		c.Press(tcell.KeyTab, tcell.KeyTab, tcell.KeyTab, tcell.KeyTab, tcell.KeyEnter)
		d := added(t, "mail01")
		if d.Path != "/mnt/vdisks/images/mail01.img" || d.Size != 100<<20 || d.Provisioning != config.Thick || d.Identity.Serial != "SN-4711" {
			t.Errorf("made %+v", d)
		}
	})
	t.Run("D3 add device: block device", func(t *testing.T) {
		c.Entry(devices.Menu(), "Add Device")
		c.Field("fast")
		c.Choose("vdisk_blockio")
		c.Type(" ")
		c.Picture("disks")
		c.Picked("d2")
		c.Press(tcell.KeyBacktab, tcell.KeyBacktab, tcell.KeyBacktab, tcell.KeyBacktab) // back over the name to Cancel
		c.Press(tcell.KeyLeft, tcell.KeyEnter)
		d := added(t, "fast")
		if d.Handler != config.BlockIO || !strings.Contains(d.Path, "d2") || d.Size != 0 {
			t.Errorf("made %+v", d)
		}
	})
	t.Run("D3 add device: CD-ROM drive", func(t *testing.T) {
		c.Entry(devices.Menu(), "Add Device")
		c.Field("install")
		c.Choose("vcdrom")
		c.Choose("typed")
		c.Field(disc)
		c.Press(tcell.KeyTab, tcell.KeyEnter)
		if d := added(t, "install"); d.Handler != config.CDROM || d.Path != disc {
			t.Errorf("made %+v", d)
		}
	})
}

func TestLUNs(t *testing.T) {
	t.Parallel()
	a, c := array(t, document)
	t.Run("D5 map to host group", func(t *testing.T) {
		c.Entry(devices.Menu(), "Map to Host Group")
		c.Picture("map")
		c.Mark("db01")
		c.Press(tcell.KeyTab) // the only target is chosen
		c.Type(" ")
		c.Picture("groups")
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
	})
	t.Run("D5 map to host group: several, next numbers", func(t *testing.T) {
		c.Entry(devices.Menu(), "Map to Host Group")
		c.Mark("db01", "db02")
		c.Press(tcell.KeyTab)
		c.Choose("backup")
		c.Press(tcell.KeyTab, tcell.KeyEnter) // read-only, Map
		c.CarryOut()
		if got := luns(t, a, "backup"); len(got) != 2 || got[0] != (config.LUN{LUN: 0, Device: "db01"}) || got[1] != (config.LUN{LUN: 1, Device: "db02"}) {
			t.Errorf("LUNs %+v", got)
		}
	})
	t.Run("D6 unmap from host group", func(t *testing.T) {
		c.Entry(devices.Menu(), "Unmap from Host Group")
		c.Picture("unmap")
		c.Picked("db02")
		c.CarryOut()
		if got := luns(t, a, "backup"); len(got) != 1 || got[0].Device != "db01" {
			t.Errorf("LUNs %+v", got)
		}
	})
	t.Run("D4 remove device", func(t *testing.T) {
		c.Entry(devices.Menu(), "Remove Device")
		c.Picture("remove")
		c.Picked("db01")
		c.Shows("LUN 0 of " + mail + " group hosts")
		c.Shows("Logged in, and see it")
		c.Picture("in-use")
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
	})
	t.Run("D4 remove device: none was named", func(t *testing.T) {
		before := a.Revisions()
		c.Entry(devices.Menu(), "Remove Device")
		c.Picked("cd")
		c.Wait("Press c to carry this out")
		c.Escape()
		if a.Revisions() != before {
			t.Error("something was changed without a confirmation")
		}
	})
}

func TestMore(t *testing.T) {
	t.Parallel()
	a, c := array(t, document+withFiles)
	iso(t, a)
	t.Run("resize", func(t *testing.T) {
		c.Entry(devices.Menu(), "Resize Device")
		c.Type("cd")
		c.Enter()
		c.Shows("a CD is as large as its file")
		c.Escape()
		c.Picked("db01")
		c.Type("5GiB")
		c.Shows("larger than that")
		c.Field("+5GiB")
		c.Picture("resize")
		c.Enter()
		c.CarryOut()
		if d, err := a.Document().FindDevice("db01"); err != nil || d.Size != 15<<30 {
			t.Errorf("%+v %v", d, err)
		}
	})
	t.Run("change", func(t *testing.T) {
		c.Entry(devices.Menu(), "Change Device")
		c.Picked("db01")
		c.Picture("change")
		c.Press(tcell.KeyTab, tcell.KeyTab)
		c.Type(" ") // removable
		c.Press(tcell.KeyTab, tcell.KeyTab, tcell.KeyTab, tcell.KeyTab, tcell.KeyTab)
		c.Field("BIGCO")
		c.Press(tcell.KeyTab, tcell.KeyTab, tcell.KeyEnter)
		c.Shows("esos device set db01 --removable --vendor BIGCO")
	})
	t.Run("CD-ROM drive", func(t *testing.T) {
		c.Entry(devices.Menu(), "Insert or Eject CD")
		c.Type("db01")
		c.Enter()
		c.Shows("it is no CD-ROM drive")
		c.Escape()
		c.Picked("cd")
		c.Picture("medium")
		c.Press(tcell.KeyTab, tcell.KeyEnter)
		c.Shows("The array is like that already")
		for _, path := range []string{disc, ""} {
			c.Entry(devices.Menu(), "Insert or Eject CD")
			c.Picked("cd")
			if path == "" {
				c.Choose("empty")
			} else {
				c.Choose("typed")
				c.Field(disc)
			}
			c.Enter()
			c.CarryOut()
			if d, err := a.Document().FindDevice("cd"); err != nil || d.Path != path {
				t.Errorf("in the drive: %+v %v", d, err)
			}
		}
	})
}
