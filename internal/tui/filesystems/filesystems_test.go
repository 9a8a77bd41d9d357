package filesystems

import (
	"slices"
	"testing"

	"github.com/gdamore/tcell/v2"

	"github.com/esos-project/esos/internal/api/apitest"
	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/tui/tuitest"
)

func TestFileSystems(t *testing.T) {
	t.Parallel()
	t.Run("F1 vdisk file list", func(t *testing.T) {
		t.Parallel()
		_, c := store(t)
		open(t, c, "VDisk File List")
		c.Wait("The files of which file system?")
		c.Shows("images")
		c.Golden("filelist-picker")
		c.Enter()
		c.Wait("db01.img")
		c.Golden("filelist")
		c.Enter()
		c.Shows("/mnt/vdisks/images/db01.img")
		c.Golden("file")
	})
	t.Run("F2 add file system", func(t *testing.T) {
		t.Parallel()
		a := apitest.New(t, apitest.Options{Disks: 3})
		change(t, a, func(doc *config.Document) {
			doc.Storage.Encrypted = []config.Encrypted{{Name: "vault", Device: disk2, Key: "file"}}
		})
		a.Disks.Foreign("vdc", "somebody")
		c := tuitest.New(t, tuitest.Options{Client: a.Client})
		open(t, c, "Add File System")
		c.Wait("Add file system")
		c.Golden("add")
		c.Type(" ")
		c.Golden("add-devices")
		c.Type("d2")
		c.Enter()
		c.Shows("It cannot be chosen: encrypted/vault uses it")
		c.Escape()
		c.Type("d1")
		c.Enter()
		c.Field("no good name")
		c.Press(tcell.KeyBacktab)
		c.Shows("letters, digits and . _ - only")
		c.Field("images")
		c.Type(" ")
		c.Golden("choose-type")
		c.Escape()
		c.Press(tcell.KeyTab) // xfs
		pickOption(c, "daily")
		c.Field("discard")
		c.Enter()
		c.CarryOut()
		c.Gone("Add file system")
		want := config.FileSystem{Name: "images", Device: disk1, Type: "xfs", Trim: "daily", Options: []string{"discard"}}
		if got := a.Document().Storage.FileSystems; len(got) != 1 || got[0].Name != want.Name || got[0].Device != want.Device || got[0].Type != want.Type || got[0].Trim != want.Trim || !slices.Equal(got[0].Options, want.Options) {
			t.Errorf("the document has %+v, want %+v", got, want)
		}
		if d := a.Disks.Look("vda"); !slices.Contains(d.Mounts, "/mnt/vdisks/images") {
			t.Errorf("it is mounted at %q", d.Mounts)
		}
	})
	t.Run("F2 add file system over another", func(t *testing.T) {
		t.Parallel()
		a := apitest.New(t, apitest.Options{Disks: 1})
		a.Disks.Foreign("vda", "somebody")
		c := tuitest.New(t, tuitest.Options{Client: a.Client})
		open(t, c, "Add File System")
		pickOption(c, "d1")
		c.Shows("take it up")
		c.Golden("add-there")
		c.Type(" ")
		c.Golden("choose-what-is-there")
		c.Escape()
		pickOption(c, "make")
		c.Field("images")
		c.Press(tcell.KeyTab, tcell.KeyTab, tcell.KeyTab, tcell.KeyEnter)
		c.Destroy("disk/virtio-d1")
		if got := a.Disks.Lost(); !slices.Equal(got, []string{"somebody"}) {
			t.Errorf("lost: %q", got)
		}
	})
	t.Run("F2 take up a file system", func(t *testing.T) {
		t.Parallel()
		a := apitest.New(t, apitest.Options{Disks: 1})
		const uuid = "6ba7b810-9dad-41d1-80b4-00c04fd430c8"
		if err := a.Disks.Run("mkfs.ext4", "-U", uuid, "-L", "old", "/dev/vda"); err != nil {
			t.Fatal(err)
		}
		c := tuitest.New(t, tuitest.Options{Client: a.Client})
		open(t, c, "Add File System")
		pickOption(c, "d1")
		c.Press(tcell.KeyTab)
		c.Field("old")
		c.Press(tcell.KeyTab, tcell.KeyTab, tcell.KeyEnter)
		c.CarryOut()
		if got := a.Document().Storage.FileSystems; len(got) != 1 || got[0].UUID != uuid || got[0].Type != "ext4" || len(a.Disks.Lost()) > 0 {
			t.Errorf("the document has %+v; lost: %q", got, a.Disks.Lost())
		}
	})
	t.Run("F3 remove file system", func(t *testing.T) {
		t.Parallel()
		a, c := store(t)
		open(t, c, "Remove File System")
		c.Wait("Which one?")
		c.Enter()
		c.Shows("device db01 has its file there")
		c.Golden("remove-picker")
		c.Escape()
		change(t, a, func(doc *config.Document) { doc.Devices = nil })
		open(t, c, "Remove File System")
		c.Wait("Which one?")
		c.Enter()
		c.Wait("It holds 2 files:")
		c.Shows("old.img, 512 MiB")
		pickOption(c, "deleted")
		c.Golden("remove")
		c.Enter()
		c.Wait("DATA ARE LOST")
		c.Golden("remove-plan")
		c.Destroy("filesystem/images")
		if got := a.Document().Storage.FileSystems; len(got) > 0 {
			t.Errorf("the document still has %+v", got)
		}
		if got := a.Disks.Lost(); !slices.Equal(got, []string{"filesystem/images"}) {
			t.Errorf("lost: %q", got)
		}
	})
	t.Run("F3 give up a file system", func(t *testing.T) {
		t.Parallel()
		a, c := store(t)
		change(t, a, func(doc *config.Document) { doc.Devices = nil })
		open(t, c, "Remove File System")
		c.Enter()
		c.Wait("It holds 2 files:")
		c.Press(tcell.KeyTab, tcell.KeyEnter)
		c.CarryOut()
		if got := a.Document().Storage.FileSystems; len(got) > 0 || len(a.Disks.Lost()) > 0 {
			t.Errorf("the document has %+v; lost: %q", got, a.Disks.Lost())
		}
	})
}

func TestFileSystemList(t *testing.T) {
	t.Parallel()
	a, c := store(t)
	open(t, c, "File Systems")
	c.Wait("mounted")
	c.Golden("list")
	c.Enter()
	c.Wait("devices on it")
	c.Golden("filesystem")
	c.Escape()
	c.Type("t")
	c.Wait("ran: filesystem trim images")
	c.Golden("trim-file-system")
	c.Escape()
	c.Type("c")
	c.Wait("ran: filesystem check images")
	c.Golden("look-for-damage-on-file-system")
	c.Escape()
	c.Type("g")
	c.Wait("It grows by itself, with its disk, once that is larger")
	c.Enter()
	c.Type("e")
	c.Wait("Edit file system images")
	c.Golden("edit")
	c.Field("discard")
	c.Type(" ")
	c.Golden("choose-trim")
	c.Escape()
	pickOption(c, "never")
	c.Enter()
	c.CarryOut()
	c.Gone("Edit file system")
	if got := a.Document().Storage.FileSystems[0]; got.Trim != "never" || !slices.Equal(got.Options, []string{"discard"}) {
		t.Errorf("the document has %+v", got)
	}
	c.Wait("never")
	c.Type("f")
	c.Wait("Files on images")
}

func TestNoFileSystem(t *testing.T) {
	t.Parallel()
	a := apitest.New(t, apitest.Options{Disks: 1})
	c := tuitest.New(t, tuitest.Options{Client: a.Client})
	open(t, c, "File Systems")
	c.Wait("There is no file system")
	c.Golden("list-empty")
	for _, entry := range []string{"VDisk File List", "Remove File System", "Add VDisk File", "Remove VDisk File", "Grow File System"} {
		open(t, c, entry)
		c.Wait("There is no file system yet")
		if entry == "VDisk File List" {
			c.Golden("none")
		}
		c.Press(tcell.KeyLeft, tcell.KeyEnter)
		c.Wait("Add file system")
		c.Escape()
	}
}

func TestGrow(t *testing.T) {
	t.Parallel()
	a := apitest.New(t, apitest.Options{Disks: 1})
	change(t, a, func(doc *config.Document) {
		doc.Storage.VolumeGroups = []config.VolumeGroup{{Name: "vg0", Devices: []string{disk1}, Volumes: []config.Volume{{Name: "images", Size: 1 << 30}}}}
		doc.Storage.Encrypted = []config.Encrypted{{Name: "vault", Device: "/dev/vg0/images", Key: "file"}}
		doc.Storage.FileSystems = []config.FileSystem{{Name: "images", Device: "/dev/mapper/vault"}}
	})
	c := tuitest.New(t, tuitest.Options{Client: a.Client})
	open(t, c, "Grow File System")
	c.Wait("Which one?")
	c.Golden("grow-file-system")
	c.Enter()
	c.Wait("It lies on volume vg0/images, which has 1 GiB.")
	c.Type("512MiB")
	c.Shows("it has 1 GiB already; file systems do not shrink")
	c.Golden("grow")
	c.Field("+1GiB")
	c.Enter()
	c.CarryOut()
	if _, v, err := a.Document().FindVolume("vg0", "images"); err != nil || v.Size != 2<<30 {
		t.Errorf("the volume is %+v, %v", v, err)
	}
	if now, err := a.Client.FileSystems(t.Context()); err != nil || now[0].Size < 1900<<20 {
		t.Errorf("the file system is %+v, %v", now, err)
	}
}
