package filesystems

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gdamore/tcell/v2"

	"github.com/esos-project/esos/internal/api/apitest"
	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/host/storagefake"
	"github.com/esos-project/esos/internal/tui/tuitest"
)

func TestAddVDisk(t *testing.T) {
	t.Parallel()
	t.Run("F4 add vdisk file", func(t *testing.T) {
		t.Parallel()
		a, c := store(t)
		open(t, c, "Add VDisk File")
		c.Wait("2.4 GiB are free on images, of 3.9 GiB.")
		c.Golden("vdisk")
		c.Press(tcell.KeyTab)
		c.Type("db01")
		c.Shows("db01 is there already")
		c.Field("db02")
		c.Shows("db02.img")
		c.Press(tcell.KeyTab)
		c.Type("3GiB")
		c.Shows("More than is free there now")
		c.Press(tcell.KeyTab)
		c.Type(" ")
		c.Golden("choose-space")
		c.Escape()
		pickOption(c, "allocated")
		c.Enter() // refused: the cursor is back in the size
		c.Shows("only 2.4 GiB are free on images")
		c.Golden("vdisk-large")
		c.Field("1.5GiB")
		c.Press(tcell.KeyTab, tcell.KeyEnter)
		c.CarryOut()
		c.Gone("Add VDisk file")
		doc := a.Document()
		dev, err := doc.FindDevice("db02")
		if err != nil || dev.Path != "/mnt/vdisks/images/db02.img" || dev.Size != 3<<29 || dev.Provisioning != config.Thick || dev.Handler != config.FileIO {
			t.Errorf("the device is %+v, %v", dev, err)
		}
		if st, err := (storagefake.Images{Machine: a.Disks}).Stat("/mnt/vdisks/images/db02.img"); err != nil || st.Size != 3<<29 {
			t.Errorf("the file is %+v, %v", st, err)
		}
	})
	t.Run("F4 add vdisk file thin", func(t *testing.T) {
		t.Parallel()
		a, c := store(t)
		open(t, c, "VDisk File List")
		c.Enter()
		c.Wait("db01.img")
		c.Type("a")
		c.Wait("Add VDisk file")
		c.Press(tcell.KeyTab)
		c.Field("db03")
		c.Field("three.img")
		c.Field("100MiB")
		c.Press(tcell.KeyTab, tcell.KeyEnter)
		c.CarryOut()
		c.Wait("three.img")
		if dev, err := a.Document().FindDevice("db03"); err != nil || dev.Path != "/mnt/vdisks/images/three.img" || dev.Provisioning == config.Thick {
			t.Errorf("the device is %+v, %v", dev, err)
		}
	})
}

// uploaded is an array with a file of the console's machine in its library,
// and the path of that file.
func uploadedFile(t *testing.T, name string) (*apitest.Array, string) {
	t.Helper()
	a := apitest.New(t, apitest.Options{})
	file := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(file, []byte(strings.Repeat("ESOS", 1<<10)), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	got, err := a.Client.UploadImage(t.Context(), dataDirectory, name, f, 4<<10, "")
	if err != nil {
		t.Fatal(err)
	}
	return a, got.Path
}

func TestRemoveVDisk(t *testing.T) {
	t.Parallel()
	t.Run("F5 remove vdisk file", func(t *testing.T) {
		t.Parallel()
		a, file := uploadedFile(t, "old.img")
		c := tuitest.New(t, tuitest.Options{Client: a.Client})
		open(t, c, "Remove VDisk File")
		c.Wait("data directory")
		c.Enter()
		c.Wait("devices/old.img")
		c.Golden("delete-picker")
		c.Enter()
		c.Wait("This deletes devices/old.img")
		c.Type("image/-/devices/new.img")
		c.Press(tcell.KeyTab, tcell.KeyEnter)
		c.Shows("nothing is deleted")
		if _, err := os.Stat(file); err != nil {
			t.Errorf("it was deleted though another name was typed: %v", err)
		}
		c.Field("image/-/devices/old.img")
		c.Enter()
		c.Wait("Done: devices/old.img is deleted")
		if _, err := os.Stat(file); !os.IsNotExist(err) {
			t.Errorf("it is still there: %v", err)
		}
	})
	t.Run("F5 remove vdisk file of a device", func(t *testing.T) {
		t.Parallel()
		a, c := store(t)
		change(t, a, func(doc *config.Document) {
			doc.Targets = []config.Target{{Name: "iqn.2026-11.org.example:store", LUNs: []config.LUN{{Device: "db01"}}}}
		})
		open(t, c, "Remove VDisk File")
		c.Enter()
		c.Wait("old.img")
		c.Golden("delete-files")
		c.Type("db01")
		c.Enter()
		c.Wait("used by device db01")
		c.Shows("leads to it")
		c.Golden("delete-used")
		c.Press(tcell.KeyRight, tcell.KeyRight, tcell.KeyEnter)
		c.Destroy("image/db01")
		doc := a.Document()
		if len(doc.Devices) > 0 || len(doc.Targets[0].LUNs) > 0 {
			t.Errorf("the document has %+v, %+v", doc.Devices, doc.Targets[0].LUNs)
		}
		if _, err := (storagefake.Images{Machine: a.Disks}).Stat("/mnt/vdisks/images/db01.img"); err == nil {
			t.Error("the file is still there")
		}
	})
	t.Run("F5 keep the file", func(t *testing.T) {
		t.Parallel()
		a, c := store(t)
		open(t, c, "Remove VDisk File")
		c.Enter()
		c.Wait("old.img")
		c.Enter()
		c.Wait("used by device db01")
		c.Press(tcell.KeyRight, tcell.KeyEnter)
		c.CarryOut()
		if doc := a.Document(); len(doc.Devices) > 0 {
			t.Errorf("the document has %+v", doc.Devices)
		}
		if _, err := (storagefake.Images{Machine: a.Disks}).Stat("/mnt/vdisks/images/db01.img"); err != nil {
			t.Errorf("the file: %v", err)
		}
	})
}

func TestUploadForm(t *testing.T) {
	t.Parallel()
	a := apitest.New(t, apitest.Options{})
	c := tuitest.New(t, tuitest.Options{Client: a.Client})
	open(t, c, "Upload Image or ISO File")
	c.Wait("Upload image or ISO file")
	c.Golden("upload")
	c.Escape()
	open(t, c, "Image and ISO Library")
	c.Wait("There is no image file")
	c.Golden("library-empty")
	c.Escape()
	open(t, c, "Copy Image File")
	c.Wait("There is no image file yet")
}

func TestCopy(t *testing.T) {
	t.Parallel()
	a, file := uploadedFile(t, "golden.img")
	c := tuitest.New(t, tuitest.Options{Client: a.Client})
	open(t, c, "Copy Image File")
	c.Wait("Copy image file")
	c.Shows("(choose)")
	c.Escape()
	open(t, c, "Image and ISO Library")
	c.Wait("devices/golden.img")
	c.Type("c")
	c.Wait("golden-copy.img")
	c.Golden("copy")
	c.Press(tcell.KeyTab, tcell.KeyTab)
	c.Field("2.img")
	c.Enter()
	c.Wait("Done: the copy is devices/2.img")
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(filepath.Join(filepath.Dir(file), "2.img")); err != nil || !slices.Equal(got, want) {
		t.Errorf("the copy has %d bytes, %v", len(got), err)
	}
	c.Wait("devices/2.img")
	c.Type("c") // there is a file of that name now
	c.Wait("Copy image file")
	c.Press(tcell.KeyTab, tcell.KeyTab)
	c.Field("2.img")
	c.Enter()
	c.Wait("that failed")
	c.Enter()
	c.Shows("Copy image file") // what was typed is kept
}

// media is a file of the machine that the console runs on.
func media(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "a.iso")
	if err := os.WriteFile(file, []byte(strings.Repeat("ISO ", 1<<10)), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestUpload(t *testing.T) {
	t.Parallel()
	a, file := uploadedFile(t, "golden.img")
	from := media(t)
	c := tuitest.New(t, tuitest.Options{Client: a.Client})
	open(t, c, "Upload Image or ISO File")
	c.Type("/no.txt")
	c.Shows("there is no file /no.txt that could be read")
	c.Field(from)
	c.Press(tcell.KeyTab)
	c.Shows("a.iso")
	c.Press(tcell.KeyTab)
	c.Type("zz")
	c.Shows("64 hexadecimal digits")
	c.Field("")
	c.Enter()
	c.Wait("Done. It is in the library")
	c.Shows("SHA-256")
	want, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(filepath.Join(filepath.Dir(filepath.Dir(file)), "iso", "a.iso")); err != nil || !slices.Equal(got, want) {
		t.Errorf("what arrived has %d bytes, %v", len(got), err)
	}
	c.Escape()
	open(t, c, "Image and ISO Library")
	c.Wait("iso/a.iso")
}

// TestUploadRefused: what has another sum than was typed is not kept.
func TestUploadRefused(t *testing.T) {
	t.Parallel()
	a, file := uploadedFile(t, "golden.img")
	c := tuitest.New(t, tuitest.Options{Client: a.Client})
	open(t, c, "Upload Image or ISO File")
	c.Field(media(t))
	c.Press(tcell.KeyTab, tcell.KeyTab)
	c.Field(strings.Repeat("0", 64))
	c.Enter()
	c.Wait("that failed")
	c.Enter()
	c.Shows("Upload image or ISO file") // what was typed is kept
	if _, err := os.Stat(filepath.Join(filepath.Dir(filepath.Dir(file)), "iso", "a.iso")); !os.IsNotExist(err) {
		t.Errorf("it is kept: %v", err)
	}
}
