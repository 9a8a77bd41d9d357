package host

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestPartitions(t *testing.T) {
	sys := t.TempDir()
	for name, text := range map[string]string{
		"sda":     "MAJOR=8\nMINOR=0\nDEVNAME=sda\nDEVTYPE=disk\n",
		"sda4":    "MAJOR=8\nMINOR=4\nDEVNAME=sda4\nDEVTYPE=partition\nPARTN=4\nPARTNAME=esos_conf\n",
		"sda5":    "DEVNAME=sda5\nPARTNAME=esos_conf2\n",
		"sdb4":    "DEVNAME=sdb4\nPARTNAME=esos_conf\n",
		"md127p4": "DEVNAME=md/127p4\nPARTNAME=esos_conf\n",
		"loop0":   "DEVNAME=loop0\n",
	} {
		dir := filepath.Join(sys, "class/block", name)
		if err := os.MkdirAll(filepath.Join(dir, "holders"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "uevent"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(sys, "class/block/sda4/holders/md127"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(sys, "class/block/gone"), 0o755); err != nil {
		t.Fatal(err)
	}
	got, err := Partitions(sys, "esos_conf")
	want := []Partition{{"/dev/md/127p4", "esos_conf", false}, {"/dev/sda4", "esos_conf", true}, {"/dev/sdb4", "esos_conf", false}}
	if d := cmp.Diff(want, got); d != "" || err != nil {
		t.Errorf("partitions (-want +got), %v:\n%s", err, d)
	}
	if _, err := Partitions(filepath.Join(sys, "none"), "esos_conf"); err == nil {
		t.Error("without sysfs there is no error")
	}
}

func TestExtUUID(t *testing.T) {
	image := filepath.Join(t.TempDir(), "image")
	sb := make([]byte, 2048)
	if err := os.WriteFile(image, sb, 0o600); err != nil {
		t.Fatal(err)
	}
	if u, err := ExtUUID(image); err == nil || !strings.Contains(err.Error(), "no ext4") {
		t.Errorf("of nothing: %q, %v", u, err)
	}
	sb[1024+56], sb[1024+57] = 0x53, 0xef
	for i := range 16 {
		sb[1024+104+i] = byte(i + 1)
	}
	if err := os.WriteFile(image, sb, 0o600); err != nil {
		t.Fatal(err)
	}
	if u, err := ExtUUID(image); err != nil || u != "01020304-0506-0708-090a-0b0c0d0e0f10" {
		t.Errorf("%q, %v", u, err)
	}
	if err := os.Truncate(image, 1100); err != nil {
		t.Fatal(err)
	}
	if u, err := ExtUUID(image); err == nil {
		t.Errorf("of a device that is too short: %q", u)
	}
}
