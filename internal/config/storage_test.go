package config

import "testing"

// TestGoodStorage takes one document with every part of the storage stack.
func TestGoodStorage(t *testing.T) {
	const text = `version: 1
name: array1
storage:
  remote:
    iscsi: [{name: far, target: "iqn.2026-11.com.example:far", portal: "192.0.2.1:3260", user: u, secret: secretsecret1}]
    nvme: [{name: fast, subsystem: "nqn.2026-11.com.example:x", transport: tcp, address: "[2001:db8::1]:4420"}]
  multipath: {enabled: true, maps: [{name: san1, wwid: 36001405abcdef}]}
  arrays:
    - {name: r6, level: "6", disks: [/dev/disk/by-id/virtio-1, /dev/disk/by-id/virtio-2, /dev/disk/by-id/virtio-3, /dev/disk/by-id/virtio-4], spares: [/dev/disk/by-id/virtio-5], chunk: 64KiB, layout: left-symmetric, check: monthly}
    - {name: r1, level: "1", disks: [/dev/disk/by-id/virtio-6, /dev/disk/by-id/virtio-7], write_mostly: [/dev/disk/by-id/virtio-7]}
  encrypted: [{name: secret, device: /dev/md/r1, key: tpm2}]
  volume_groups:
    - name: vg0
      devices: [/dev/md/r6, /dev/mapper/san1]
      volumes:
        - {name: pool, type: thin_pool, size: 10GiB, chunk: 64KiB}
        - {name: db, type: thin, size: 20GiB, pool: pool}
        - {name: copy, type: thin, pool: pool, clone_of: db}
        - {name: backup, type: vdo, size: 50GiB, physical: 5GiB}
        - {name: images, size: 10GiB, cache: {device: /dev/mapper/san1, size: 1GiB}}
  filesystems: [{name: images, device: /dev/vg0/images, type: xfs, trim: weekly}]
  snapshots: [{name: nightly, devices: [db01], every: daily, at: "02:30", keep: 14}]
devices:
  - {name: db01, handler: vdisk_blockio, path: /dev/vg0/db}
`
	doc, warnings, err := Parse("storage.yaml", []byte(text))
	if err != nil || len(warnings) > 0 {
		t.Fatalf("%v\n%v", err, warnings)
	}
	for p, want := range map[string]string{"/dev/md/r6": "array/r6", "/dev/mapper/secret": "encrypted/secret", "/dev/vg0/db": "volume/vg0/db",
		"/mnt/vdisks/images/a.img": "filesystem/images", "/dev/mapper/san1": "multipath/san1", "/dev/vg0/pool": "", "/dev/sda": "", "/mnt/vdisks/imagesx/a": ""} {
		if got := doc.Storage.Provider(p); got != want {
			t.Errorf("%s is made by %q, want %q", p, got, want)
		}
	}
	if !doc.Storage.Declared() || (Storage{}).Declared() {
		t.Error("Declared does not tell something from nothing")
	}
	for p, want := range map[string]string{"/dev/disk/by-id/virtio-1": "disk/virtio-1", "/dev/sda": "disk/sda", "/dev/mapper/x": "disk/mapper/x"} {
		if got := DiskObject(p); got != want {
			t.Errorf("%s is %q", p, got)
		}
	}
	one, two := DerivedUUID("id", "array/a"), DerivedUUID("id", "array/b")
	if one == two || one != DerivedUUID("id", "array/a") || !isUUID(one) || one[14] != '8' {
		t.Errorf("%s, %s", one, two)
	}
}
