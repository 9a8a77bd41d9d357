package image

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func testModules(t *testing.T) *moduleTree {
	t.Helper()
	root := t.TempDir()
	for name, text := range map[string]string{
		"modules.dep": "kernel/fs/ext4/ext4.ko.xz: kernel/fs/jbd2/jbd2.ko.xz kernel/lib/crc16.ko.xz\n" +
			"kernel/fs/jbd2/jbd2.ko.xz:\nkernel/lib/crc16.ko.xz:\nkernel/crypto/crc32c_generic.ko.xz:\n" +
			"kernel/drivers/usb/host/xhci-hcd.ko.xz:\nkernel/drivers/usb/host/xhci-pci.ko.xz: kernel/drivers/usb/host/xhci-hcd.ko.xz\n" +
			"kernel/sound/snd.ko.xz:\n",
		"modules.builtin": "kernel/drivers/base/firmware_loader.ko\n",
		"modules.softdep": "# made by depmod\nsoftdep ext4 pre: crc32c-generic\n",
	} {
		if err := writeFile(filepath.Join(root, "usr/lib/modules/6.1", name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	tree, err := openModules(root, "6.1")
	if err != nil {
		t.Fatal(err)
	}
	return tree
}

func TestChooseModules(t *testing.T) {
	tree := testModules(t)
	got, err := tree.choose([]string{"ext4", "drivers/usb/host/", "firmware-loader"})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"kernel/crypto/crc32c_generic.ko.xz", // a soft dependency of ext4
		"kernel/drivers/usb/host/xhci-hcd.ko.xz", "kernel/drivers/usb/host/xhci-pci.ko.xz",
		"kernel/fs/ext4/ext4.ko.xz", "kernel/fs/jbd2/jbd2.ko.xz", "kernel/lib/crc16.ko.xz",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestChooseRefusesWhatTheKernelHasNot(t *testing.T) {
	tree := testModules(t)
	for _, name := range []string{"no_such", "drivers/none/"} {
		if _, err := tree.choose([]string{name}); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: error %v, want one that names it", name, err)
		}
	}
}
