package pick

import (
	"testing"

	v1 "github.com/esos-project/esos/internal/api/v1"
	"github.com/esos-project/esos/internal/host/block"
)

// TestPath: a document has what stays the same, and calls a volume as the
// document itself does that declares it.
func TestPath(t *testing.T) {
	t.Parallel()
	for _, x := range []struct {
		d    block.Device
		want string
	}{
		{block.Device{Path: "/dev/vda", Type: "disk", Links: []string{"/dev/disk/by-id/virtio-d1"}}, "/dev/disk/by-id/virtio-d1"},
		{block.Device{Path: "/dev/vda", Type: "disk"}, "/dev/vda"},
		{block.Device{Path: "/dev/md/data", Type: "raid1", Links: []string{"/dev/disk/by-id/md-name-data"}}, "/dev/md/data"},
		{block.Device{Path: "/dev/mapper/vg--0-a--b", Type: "lvm", Links: []string{"/dev/disk/by-id/dm-name-vg--0-a--b"}}, "/dev/vg-0/a-b"},
		{block.Device{Path: "/dev/vg0/images", Type: "lvm"}, "/dev/vg0/images"},
		{block.Device{Path: "/dev/mapper/vault", Type: "crypt"}, "/dev/mapper/vault"},
		{block.Device{Path: "/dev/mapper/mail-box", Type: "mpath"}, "/dev/mapper/mail-box"},
	} {
		if got := Path(v1.Disk{Device: x.d}); got != x.want {
			t.Errorf("%s: %s, want %s", x.d.Path, got, x.want)
		}
	}
}
