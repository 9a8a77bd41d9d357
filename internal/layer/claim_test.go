package layer_test

import (
	"context"
	"errors"
	"io/fs"
	"strings"
	"testing"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/host"
	"github.com/esos-project/esos/internal/host/block"
	"github.com/esos-project/esos/internal/layer"
	"github.com/esos-project/esos/internal/nvmet"
	"github.com/esos-project/esos/internal/plan"
)

// rack is a machine of block devices: what lsblk says of them, and links.
type rack struct{ lsblk string }

func (r rack) Output(context.Context, host.Call) ([]byte, error) { return []byte(r.lsblk), nil }
func (rack) ReadDir(string) ([]string, error)                    { return []string{"wwn-a", "ata-a"}, nil }

func (rack) ReadFile(p string) ([]byte, error) {
	const id = "BwL3l2ssoX43PgQMYhXkijwbI3CJBqEgEiaO0X8p0vAojGCoceenWrDe63iusDxb"
	switch p {
	case "/sys/class/block/dm-0/dm/uuid":
		return []byte("LVM-" + id + "-tdata"), nil
	case "/sys/class/block/dm-1/dm/uuid":
		return []byte("LVM-" + id + "\n"), nil
	}
	return nil, fs.ErrNotExist
}

func (rack) Real(p string) string {
	switch p {
	case "/dev/disk/by-id/ata-a", "/dev/disk/by-id/wwn-a", "/dev/a":
		return "/dev/sda"
	case "/dev/mapper/vg0-pool_tdata":
		return "/dev/dm-0"
	case "/dev/mapper/vg0-db":
		return "/dev/dm-1"
	}
	return p
}

const rackful = `{"blockdevices":[
{"kname":"sda","path":"/dev/sda","type":"disk","size":1000,"wwn":"0x1","hctl":"0:0:0:0","state":"running"},
{"kname":"sdb","path":"/dev/sdb","type":"disk","size":1000,"wwn":"0x2","children":[{"kname":"sdb1","path":"/dev/sdb1","type":"part","size":400,"wwn":"0x2"},{"kname":"sdb2","path":"/dev/sdb2","type":"part","size":400,"wwn":"0x2"}]},
{"kname":"sdc","path":"/dev/sdc","type":"disk","size":1000,"wwn":"0x9"},{"kname":"sdd","path":"/dev/sdd","type":"disk","size":1000,"wwn":"0x9"},
{"kname":"sde","path":"/dev/sde","type":"disk","size":1000,"state":"offline"},
{"kname":"sdf","path":"/dev/sdf","type":"disk","size":0},
{"kname":"sdg","path":"/dev/sdg","type":"disk","size":1000,"fstype":"btrfs"},
{"kname":"sdh","path":"/dev/sdh","type":"disk","size":1000,"children":[{"kname":"sdh1","path":"/dev/sdh1","type":"part","size":400,"children":[{"kname":"dm-9","path":"/dev/mapper/enc","type":"crypt","size":400}]}]},
{"kname":"sdi","path":"/dev/sdi","type":"disk","size":1000,"mountpoints":["[SWAP]"]},
{"kname":"sdj","path":"/dev/sdj","type":"disk","size":1000},
{"kname":"sr0","path":"/dev/sr0","type":"rom","size":700},
{"kname":"zram0","path":"/dev/zram0","type":"disk","size":1000},
{"kname":"dm-0","path":"/dev/mapper/vg0-pool_tdata","type":"lvm","size":900},
{"kname":"dm-1","path":"/dev/mapper/vg0-db","type":"lvm","size":900}
]}`

func TestClaim(t *testing.T) {
	boom := errors.New("read what is on /dev/sdj: input/output error")
	for name, c := range map[string]struct {
		path  string
		doc   config.Document
		seen  func(*layer.Observed)
		build func(*plan.Builder)
		want  string // Loses, Refused or Missing
	}{
		"blank":                  {path: "/dev/disk/by-id/ata-a"},
		"a volume":               {path: "/dev/mapper/vg0-db"},
		"not there":              {path: "/dev/sdx", want: "missing: /dev/sdx is not there"},
		"partitions":             {path: "/dev/sdb", want: "loses: /dev/sdb (1000 bytes) holds partition sdb1 of 400 bytes, partition sdb2 of 400 bytes; all of that is lost"},
		"one partition":          {path: "/dev/sdb1"},
		"two paths":              {path: "/dev/sdc", want: "refused: /dev/sdc and /dev/sdd are paths to the same disk (0x9)"},
		"offline":                {path: "/dev/sde", want: "refused: /dev/sde is offline"},
		"no medium":              {path: "/dev/sdf", want: "refused: /dev/sdf has no medium"},
		"another disk's btrfs":   {path: "/dev/sdg", want: "refused: /dev/sdg cannot be taken: something has it for itself"},
		"crypt on its partition": {path: "/dev/sdh", want: "refused: /dev/sdh1 is in use by mapper/enc (crypt)"},
		"swap":                   {path: "/dev/sdi", want: "refused: /dev/sdi is mounted at [SWAP]"},
		"dead":                   {path: "/dev/sdj", want: "refused: /dev/sdj cannot be taken: read what is on /dev/sdj: input/output error"},
		"CD-ROM":                 {path: "/dev/sr0", want: "refused: /dev/sr0 is a CD-ROM drive"},
		"memory":                 {path: "/dev/zram0", want: "refused: /dev/zram0 is memory"},
		"inside LVM":             {path: "/dev/mapper/vg0-pool_tdata", want: "refused: /dev/mapper/vg0-pool_tdata is a part of LVM's own machinery"},
		"not looked at":          {path: "/dev/sda", seen: func(o *layer.Observed) { o.Storage.Contents = nil }, want: "refused: what is on /dev/sda could not be read"},
		"nobody looked":          {path: "/dev/sda", seen: func(o *layer.Observed) { o.Storage.Blocks, o.Storage.Err = nil, boom }, want: "missing: the block devices could not be looked at"},
		"medium":                 {path: "/dev/sdb2", seen: func(o *layer.Observed) { o.Storage.Medium = map[string]bool{"sdb": true} }, want: "refused: /dev/sdb2 is a boot medium"},
		"another name of it": {path: "/dev/disk/by-id/ata-a", doc: config.Document{Storage: config.Storage{FileSystems: []config.FileSystem{{Name: "x", Device: "/dev/disk/by-id/ata-a"}},
			VolumeGroups: []config.VolumeGroup{{Name: "vg", Devices: []string{"/dev/disk/by-id/wwn-a"}}}}}, want: "refused: /dev/disk/by-id/ata-a is declared twice: volume-group/vg uses it as /dev/disk/by-id/wwn-a"},
		"its partition":     {path: "/dev/sdb", doc: config.Document{Storage: config.Storage{Encrypted: []config.Encrypted{{Name: "e", Device: "/dev/sdb1"}}}}, want: "refused: /dev/sdb is declared twice: encrypted/e uses it as /dev/sdb1"},
		"its disk":          {path: "/dev/sdb1", doc: config.Document{Storage: config.Storage{Arrays: []config.Array{{Name: "a", Journal: "/dev/sdb"}}}}, want: "refused: /dev/sdb1 is declared twice: array/a"},
		"another partition": {path: "/dev/sdb1", doc: config.Document{Storage: config.Storage{Encrypted: []config.Encrypted{{Name: "e", Device: "/dev/sdb2"}}}}},
		"a device's":        {path: "/dev/a", doc: config.Document{Devices: []config.Device{{Name: "db", Handler: config.BlockIO, Path: "/dev/disk/by-id/wwn-a"}}}, want: "refused: /dev/a is declared twice: device/db leads initiators to it"},
		"a file device's":   {path: "/dev/a", doc: config.Document{Devices: []config.Device{{Name: "db", Handler: config.FileIO, Path: "/dev/a"}}}, want: "refused: /dev/a is declared twice: device/db leads initiators to it"},
		"passed through":    {path: "/dev/sda", doc: config.Document{Devices: []config.Device{{Name: "db", Handler: "dev_disk", Path: "0:0:0:0"}}}, want: "refused: /dev/sda is declared twice: device/db"},
		"served now":        {path: "/dev/a", seen: func(o *layer.Observed) { o.Engine.Devices = []config.Device{{Name: "old", Path: "/dev/sda"}} }, want: "refused: device/old leads initiators to /dev/a now"},
		"served over NVMe": {path: "/dev/a", seen: func(o *layer.Observed) {
			o.NVMe.Subsystems = []nvmet.Subsystem{{NQN: "nqn.x", Namespaces: []nvmet.Namespace{{NSID: 1, Path: "/dev/sda"}}}}
		}, want: "refused: nvme-namespace/nqn.x/1 leads initiators"},
		"freed":             {path: "/dev/sdh", build: func(b *plan.Builder) { b.Frees("sdh", "delete array/old") }, want: "needs: delete array/old"},
		"freed, but served": {path: "/dev/sda", build: func(b *plan.Builder) { b.Frees("sda", "delete array/old") }, seen: func(o *layer.Observed) { o.Engine.Devices = []config.Device{{Name: "old", Path: "/dev/sda"}} }, want: "refused: device/old"},
		"coming":            {path: "/dev/md/new", build: func(b *plan.Builder) { b.Comes("/dev/md/new", plan.Coming{Step: "create array/new", Size: 5}) }, want: "needs: create array/new"},
		"blocked below":     {path: "/dev/md/r1", doc: config.Document{Storage: config.Storage{Arrays: []config.Array{{Name: "r1"}}}}, build: func(b *plan.Builder) { b.Block("array/r1", "a disk is missing") }, want: "missing: /dev/md/r1 cannot be had (array/r1)"},
	} {
		t.Run(name, func(t *testing.T) {
			inv, err := block.Read(t.Context(), rack{rackful})
			if err != nil {
				t.Fatal(err)
			}
			seen := &layer.Observed{Storage: layer.Storage{Blocks: inv, Contents: map[string][]block.Content{"sda": nil, "sdb": nil, "sdb1": nil, "sdc": nil, "dm-0": nil, "dm-1": nil, "sr0": nil, "zram0": nil, "sdi": nil, "sdh": nil, "sde": nil, "sdf": nil},
				Unread: map[string]error{"sdg": host.ErrInUse, "sdj": boom}}}
			var b plan.Builder
			if c.build != nil {
				c.build(&b)
			}
			if c.seen != nil {
				c.seen(seen)
			}
			claim := seen.Claim(&c.doc, &b, c.path)
			got := ""
			switch {
			case claim.Missing != "":
				got = "missing: " + claim.Missing
			case claim.Refused != "":
				got = "refused: " + claim.Refused
			case claim.Loses != "":
				got = "loses: " + claim.Loses
			case len(claim.Needs) > 0:
				got = "needs: " + string(claim.Needs[0])
			}
			if c.want == "" && got != "" || !strings.HasPrefix(got, c.want) {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}

// TestHolder: pickers say who has a device; what Claim refuses is never free.
func TestHolder(t *testing.T) {
	doc := &config.Document{Storage: config.Storage{Arrays: []config.Array{{Name: "a", Disks: []string{"/dev/disk/by-id/ata-a"}}}, Encrypted: []config.Encrypted{{Name: "e", Device: "/dev/sdb1"}}}}
	inv, err := block.Read(t.Context(), rack{rackful})
	if err != nil {
		t.Fatal(err)
	}
	seen := &layer.Observed{Storage: layer.Storage{Blocks: inv, Medium: map[string]bool{"sdj": true}}}
	for name, want := range map[string]layer.Holder{
		"sda":  {By: "array/a", Why: "array/a uses it (/dev/disk/by-id/ata-a)"},
		"sdb":  {By: "encrypted/e", Why: "encrypted/e uses /dev/sdb1"},
		"sdb1": {By: "encrypted/e", Why: "encrypted/e uses it (/dev/sdb1)"},
		"sdb2": {},
		"sdh":  {By: "crypt mapper/enc", Why: "/dev/sdh1 is in use by mapper/enc (crypt); give that up first"},
		"sdi":  {By: "[SWAP]", Why: "/dev/sdi is mounted at [SWAP]"},
		"sdj":  {By: "boot medium", Why: "/dev/sdj is a boot medium of ESOS"},
		"sdg":  {},
	} {
		d, _ := inv.Named(name)
		if got := seen.Holder(doc, d); got != want {
			t.Errorf("%s: %+v, want %+v", name, got, want)
		}
	}
	sdg, _ := inv.Named("sdg")
	if holds := layer.Holds(inv, sdg); holds != "a btrfs file system" {
		t.Errorf("%q", holds)
	}
}
