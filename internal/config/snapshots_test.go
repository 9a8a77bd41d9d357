package config

import (
	"strings"
	"testing"
)

func TestSnapshotsAreChecked(t *testing.T) {
	const base = `version: 1
name: array
storage:
  volume_groups:
    - name: vg
      devices: [/dev/disk/by-id/a]
      volumes:
        - {name: pool, type: thin_pool, size: 10GiB}
        - {name: one, type: thin, pool: pool, size: 1GiB}
        - {name: two, type: thin, pool: pool, size: 1GiB}
        - {name: plain, size: 1GiB}
  filesystems:
    - {name: x, device: /dev/disk/by-id/b}
    - {name: e, device: /dev/disk/by-id/c, type: ext4}
  arrays:
    - {name: r1, level: 1, disks: [/dev/disk/by-id/d, /dev/disk/by-id/e]}
  snapshots:
    - {name: NAME, devices: [DEVICES], every: EVERY, keep: 3}
devices:
  - {name: one, handler: vdisk_blockio, path: /dev/vg/one}
  - {name: two, handler: vdisk_blockio, path: /dev/vg/two}
  - {name: plain, handler: vdisk_blockio, path: /dev/vg/plain}
  - {name: raid, handler: vdisk_blockio, path: /dev/md/r1}
  - {name: file, handler: vdisk_fileio, path: /mnt/vdisks/x/file.img}
  - {name: ext4, handler: vdisk_fileio, path: /mnt/vdisks/e/file.img}
  - {name: null, handler: vdisk_nullio, size: 1GiB}
`
	for name, tt := range map[string]struct{ name, devices, every, want string }{
		"volumes":        {"s", "one, two", "hourly", ""},
		"a file":         {"s", "file", "daily", ""},
		"two files":      {"s", "file, one", "daily", "storage.snapshots[0].devices: file, one: image files cannot be held"},
		"twice":          {"s", "one, one", "daily", "device one is named twice"},
		"a plain volume": {"s", "plain", "daily", "storage.snapshots[0].devices[0]: device plain is on volume vg/plain, which is linear"},
		"an array":       {"s", "raid", "daily", "is on array/r1, which has no snapshots"},
		"ext4":           {"s", "ext4", "daily", "which is ext4"},
		"null":           {"s", "'null'", "daily", "is of handler vdisk_nullio"},
		"no device":      {"s", "gone", "daily", `device "gone": not found`},
		"LVM's name":     {"s_tmeta", "one", "daily", "LVM keeps for itself"},
		"no time":        {"s", "one", "sometimes", "storage.snapshots[0].every"},
	} {
		t.Run(name, func(t *testing.T) {
			text := strings.NewReplacer("NAME", tt.name, "DEVICES", tt.devices, "EVERY", tt.every).Replace(strings.ReplaceAll(base, "{name: null,", "{name: 'null',"))
			doc, err := Decode("test", []byte(text))
			if err != nil {
				t.Fatal(err)
			}
			var errs []string
			for _, p := range doc.Validate() {
				if !p.Warning {
					errs = append(errs, p.String())
				}
			}
			if tt.want == "" && len(errs) > 0 || tt.want != "" && !strings.Contains(strings.Join(errs, "\n"), tt.want) {
				t.Errorf("got %q, want %q", errs, tt.want)
			}
		})
	}
}
