package cli_test

import "github.com/esos-project/esos/internal/host/storagefake"

// disksElsewhere is a machine with two arrays in reach: an iSCSI target at two
// addresses, which wants a secret, and an NVMe subsystem.
func disksElsewhere() *storagefake.Machine {
	m := storagefake.New()
	m.Disk("vda", "own", 10<<30)
	m.Target("iqn.2026-11.com.example:array2", &storagefake.RemoteDisk{WWID: "3600140500000001", Serial: "00000001", Size: 20 << 30}).Lock("esos", "example-secret")
	m.Subsystem("nqn.2026-11.com.example:flash", &storagefake.RemoteDisk{WWID: "uuid.6ba7b810-9dad-41d1-80b4-00c04fd430c8", Serial: "flash1", Size: 40 << 30})
	for _, address := range []string{"10.0.0.5:3260", "10.0.1.5:3260", "10.0.0.6:4420"} {
		m.Portal(address, true)
	}
	return m
}
