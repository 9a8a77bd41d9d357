package host

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// scsiTree is a sysfs with a disk, a tape and a changer.
func scsiTree(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	for address, d := range map[string][4]string{
		"2:0:0:0": {"0", "ATA", "SAMSUNG MZ7", "block/sda"},
		"3:0:0:0": {"1", "IBM", "ULTRIUM-HH7", "scsi_generic/sg1"},
		"3:0:0:1": {"8", "IBM", "3573-TL", "scsi_generic/sg2"},
		"4:0:0:0": {"0", "NONE", "OPENS ME", "bsg"},
	} {
		at := "class/scsi_device/" + address + "/device/"
		sysFile(t, root, at+"type", d[0])
		sysFile(t, root, at+"vendor", d[1]+"     ")
		sysFile(t, root, at+"model", d[2])
		sysFile(t, root, at+d[3]+"/dev", "0:0")
	}
	return root
}

func TestSCSI(t *testing.T) {
	root := scsiTree(t)
	s := SCSI{Sys: root}
	got, err := s.Find("3:0:0:0")
	if want := (SCSIDevice{Address: "3:0:0:0", Type: 1, Vendor: "IBM", Model: "ULTRIUM-HH7", Node: "/dev/sg1"}); err != nil || got != want {
		t.Errorf("%+v %v, want %+v", got, err, want)
	}
	if got, err := s.Find("2:0:0:0"); err != nil || got.Node != "/dev/sda" {
		t.Errorf("a disk: %+v %v", got, err)
	}
	for path, want := range map[string]string{
		"9:0:0:0":                    "has none at 9:0:0:0",
		"4:0:0:0":                    "module sg",
		filepath.Join(root, "none"):  "no such file",
		filepath.Join(root, "class"): "it is no device",
		"/dev/null":                  "no SCSI device",
	} {
		if _, err := s.Find(path); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", path, err, want)
		}
	}
	// A node leads to its device by its number; /dev/null's is 1:3.
	link := filepath.Join(root, "dev/char/1:3/device")
	if err := os.MkdirAll(filepath.Dir(link), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("../../../3:0:0:1", link); err != nil {
		t.Fatal(err)
	}
	if got, err := s.Find("/dev/null"); err != nil || got.Address != "3:0:0:1" || got.Type != 8 {
		t.Errorf("by its node: %+v %v", got, err)
	}
	sysFile(t, root, "dev/char/1:3/partition", "1")
	if _, err := s.Find("/dev/null"); err == nil || !strings.Contains(err.Error(), "partition") {
		t.Errorf("a partition: %v", err)
	}
}
