package config

import (
	"encoding/base64"
	"encoding/binary"
	"hash/crc32"
	"strings"
	"testing"
)

const (
	nvmeUUID = "nqn.2014-08.org.nvmexpress:uuid:6f1b0e9d-2c3a-4867-9122-334455667788"
	nvmeNQN  = "nqn.2026-11.com.example:db"
)

// nvmeKey makes a key of n bytes.
func nvmeKey(hash string, n int) Secret {
	key := []byte(strings.Repeat("k", n))
	return Secret("DHHC-1:" + hash + ":" + base64.StdEncoding.EncodeToString(binary.LittleEndian.AppendUint32(key, crc32.ChecksumIEEE(key))) + ":")
}

func nvmeDocument() *Document {
	return &Document{
		Version: 1, Name: "array", ID: "b1946ac9-2d2e-4f6a-8c3d-0123456789ab",
		Devices: []Device{{Name: "a", Handler: FileIO, Size: 1 << 20}, {Name: "b", Handler: BlockIO, Path: "/dev/disk/by-id/b"}, {Name: "m", Handler: Memory, Size: 1 << 20}},
		ISCSI:   ISCSI{Portals: []Portal{{Name: "p", Address: "127.0.0.1:3260"}}},
		Targets: []Target{{Name: "iqn.2026-11.com.example:t", Groups: []Group{{Name: "g", Initiators: []string{"iqn.2026-11.com.example:i"}, LUNs: []LUN{{LUN: 0, Device: "m"}}}}}},
		NVMe: NVMe{
			Ports: []NVMePort{{Name: "t", Transport: NVMeTCP, Address: "192.0.2.10:4420"}, {Name: "f", Transport: NVMeFC, Address: "nn-0x20000024FF000001:pn-0x21000024ff000001"}},
			Subsystems: []NVMeSubsystem{
				{NQN: nvmeNQN, Hosts: []NVMeHost{{NQN: nvmeUUID, DHCHAPKey: nvmeKey("01", 32), DHCHAPCtrlKey: nvmeKey("00", 48)}}, Namespaces: []NVMeNamespace{{NSID: 1, Device: "a"}}},
				{NQN: "nqn.2026-11.com.example:two", Ports: []string{"t"}, Hosts: []NVMeHost{{NQN: "nqn.2026-11.com.example:h"}}, Namespaces: []NVMeNamespace{{NSID: 9, Device: "b", Reservations: true}}},
			},
		},
	}
}

func TestNVMeRefusals(t *testing.T) {
	if problems := nvmeDocument().Validate(); len(problems) > 0 {
		t.Fatalf("a document that is right: %v", problems)
	}
	for why, change := range map[string]func(n *Document){
		"ports[0].transport: missing":          func(d *Document) { d.NVMe.Ports[0].Transport = "" },
		"is not known":                         func(d *Document) { d.NVMe.Ports[0].Transport = "loop" },
		"ports[0].address: missing":            func(d *Document) { d.NVMe.Ports[0].Address = "" },
		"is no IP address":                     func(d *Document) { d.NVMe.Ports[0].Address = "array:4420" },
		"cannot pick a port":                   func(d *Document) { d.NVMe.Ports[0].Address = "192.0.2.10:0" },
		"no FC address":                        func(d *Document) { d.NVMe.Ports[1].Address = "0x20000024ff000001" },
		"already the address of nvme.ports[0]": func(d *Document) { d.NVMe.Ports[1] = d.NVMe.Ports[0] },
		"already the number of nvme.ports[0]":  func(d *Document) { d.NVMe.Ports[0].ID, d.NVMe.Ports[1].ID = 3, 3 },
		"must be 1 to 65535":                   func(d *Document) { d.NVMe.Ports[0].ID = 65536 },
		"multiple of 4096":                     func(d *Document) { d.NVMe.Ports[0].InCapsuleSize = 100 },
		"fc has none":                          func(d *Document) { d.NVMe.Ports[1].InCapsuleSize = 4096 },
		"1 is given twice at this port": func(d *Document) {
			d.NVMe.Ports[0].ANAGroups = []ANAGroup{{1, "optimized"}, {1, "change"}}
		},
		"state: missing":                   func(d *Document) { d.NVMe.Ports[0].ANAGroups = []ANAGroup{{ID: 1}} },
		"subsystems[0].nqn: missing":       func(d *Document) { d.NVMe.Subsystems[0].NQN = "" },
		"is no NQN; write one like":        func(d *Document) { d.NVMe.Subsystems[0].NQN = "iqn.2026-11.com.example:db" },
		"the discovery service's own":      func(d *Document) { d.NVMe.Subsystems[0].NQN = DiscoveryNQN },
		"already taken by nvme.subsystems": func(d *Document) { d.NVMe.Subsystems[1].NQN = nvmeNQN },
		"longer than 20 characters":        func(d *Document) { d.NVMe.Subsystems[0].Serial = strings.Repeat("9", 21) },
		"longer than 40 characters":        func(d *Document) { d.NVMe.Subsystems[0].Model = strings.Repeat("m", 41) },
		"printable ASCII":                  func(d *Document) { d.NVMe.Subsystems[0].Model = "mo\u00e9" },
		"no NVMe port \"tt\"":              func(d *Document) { d.NVMe.Subsystems[1].Ports = []string{"tt"} },
		"hosts would mean nothing":         func(d *Document) { d.NVMe.Subsystems[0].AllowAnyHost = true },
		"the kernel has one of each host": func(d *Document) {
			d.NVMe.Subsystems[1].Hosts = []NVMeHost{{NQN: nvmeUUID, DHCHAPKey: nvmeKey("01", 32)}}
		},
		"hosts[0].dhchap_key: missing": func(d *Document) { d.NVMe.Subsystems[0].Hosts[0].DHCHAPKey = "" },
		"dhchap_key: is no key":        func(d *Document) { d.NVMe.Subsystems[0].Hosts[0].DHCHAPKey = "twelve-bytes-and-more" },
		"nsid: must be 1 to 1024":      func(d *Document) { d.NVMe.Subsystems[0].Namespaces[0].NSID = 0 },
		"1 is given twice in this subsystem": func(d *Document) {
			d.NVMe.Subsystems[0].Namespaces = append(d.NVMe.Subsystems[0].Namespaces, NVMeNamespace{NSID: 1, Device: "b"})
		},
		"hosts take two namespaces on one device for two disks": func(d *Document) { d.NVMe.Subsystems[1].Namespaces[0].Device = "a" },
		"hosts take two namespaces with one identity": func(d *Document) {
			d.NVMe.Subsystems[0].Namespaces[0].UUID = "11111111-2222-8333-8444-555555555555"
			d.NVMe.Subsystems[1].Namespaces[0].UUID = "11111111-2222-8333-8444-555555555555"
		},
		"is no UUID":               func(d *Document) { d.NVMe.Subsystems[0].Namespaces[0].UUID = "1" },
		"is no NGUID":              func(d *Document) { d.NVMe.Subsystems[0].Namespaces[0].NGUID = strings.Repeat("0", 32) },
		"no device \"aa\"":         func(d *Document) { d.NVMe.Subsystems[0].Namespaces[0].Device = "aa" },
		"and vdisk_blockio only":   func(d *Document) { d.NVMe.Subsystems[0].Namespaces[0].Device = "m" },
		"no read-only namespaces":  func(d *Document) { d.Devices[0].ReadOnly = true },
		"reports a write cache":    func(d *Document) { d.Devices[0].WriteThrough = true },
		"no removable media":       func(d *Document) { d.Devices[0].Removable = true },
		"blocks of their file sys": func(d *Document) { d.Devices[0].BlockSize = 512 },
		"lun/iqn.2026-11.com.example:t/g/0 leads to device \"a\", too": func(d *Document) { d.Targets[0].Groups[0].LUNs[0].Device = "a" },
		"which is SCSI's (ALUA)": func(d *Document) {
			d.DeviceGroups = []DeviceGroup{{Name: "dg", Devices: []string{"a"}}}
		},
	} {
		d := nvmeDocument()
		change(d)
		err := d.Validate().Err()
		if err == nil || !strings.Contains(err.Error(), why) {
			t.Errorf("no refusal says %q: %v", why, err)
		}
		if err != nil && strings.Contains(err.Error(), "a2tra2") {
			t.Errorf("a refusal tells a key: %v", err)
		}
	}
	for why, change := range map[string]func(n *Document){
		"no port, so no host can connect": func(d *Document) { d.NVMe.Ports, d.NVMe.Subsystems[1].Ports = nil, nil },
		"every machine that reaches":      func(d *Document) { d.NVMe.Subsystems[0].AllowAnyHost, d.NVMe.Subsystems[0].Hosts = true, nil },
		"so nobody can connect":           func(d *Document) { d.NVMe.Subsystems[0].Hosts = nil },
		"port \"t\" has no group 2":       func(d *Document) { d.NVMe.Subsystems[0].Namespaces[0].ANAGroup = 2 },
	} {
		d := nvmeDocument()
		change(d)
		if problems := d.Validate(); problems.Err() != nil || !strings.Contains(problems.Warnings().Error(), why) {
			t.Errorf("no warning says %q: %v", why, problems)
		}
	}
}

// Identities come from the array's id and names, and stay.
func TestNVMeIdentitiesStay(t *testing.T) {
	first := nvmeDocument()
	if err := Complete(first, nil); err != nil {
		t.Fatal(err)
	}
	if problems := first.Validate(); len(problems) > 0 {
		t.Fatalf("completed: %v", problems)
	}
	again := nvmeDocument()
	if err := Complete(again, nil); err != nil {
		t.Fatal(err)
	}
	if d := Diff(first, again); len(d) > 0 {
		t.Errorf("completed from chance: %v", d)
	}
	ns := first.NVMe.Subsystems[0].Namespaces[0]
	if ns.UUID[14] != '8' || ns.NGUID[16:22] != "001405" || len(first.NVMe.Subsystems[0].Serial) != 16 {
		t.Errorf("identity %+v, serial %q", ns, first.NVMe.Subsystems[0].Serial)
	}
	// What was there before stays, by names: another order, another id of the
	// array, and a port in front of others.
	was := first.Clone()
	was.NVMe.Subsystems[0].Serial, was.NVMe.Subsystems[0].Namespaces[0].UUID = "kept", "11111111-2222-8333-8444-555555555555"
	next := nvmeDocument()
	next.ID = "00000000-2d2e-4f6a-8c3d-0123456789ab"
	next.NVMe.Ports = append([]NVMePort{{Name: "new", Transport: NVMeTCP, Address: ":4421"}}, next.NVMe.Ports...)
	next.NVMe.Subsystems[0], next.NVMe.Subsystems[1] = next.NVMe.Subsystems[1], next.NVMe.Subsystems[0]
	next.NVMe.Subsystems[0].Namespaces[0].Device, next.NVMe.Subsystems[0].Namespaces[0].Reservations = "a2", false
	next.Devices[0].Name = "a"
	next.Devices = append(next.Devices, Device{Name: "a2", Handler: FileIO, Size: 1 << 20})
	if err := Complete(next, was); err != nil {
		t.Fatal(err)
	}
	if s := next.NVMe.Subsystems[1]; s.Serial != "kept" || s.Namespaces[0].UUID != "11111111-2222-8333-8444-555555555555" || s.Namespaces[0].NGUID != ns.NGUID {
		t.Errorf("what hosts know is now %+v", s)
	}
	if now, then := next.NVMe.Subsystems[0].Namespaces[0], first.NVMe.Subsystems[1].Namespaces[0]; now.UUID == then.UUID || now.NGUID == then.NGUID {
		t.Error("another device has the identity of the one before")
	}
	if p := next.NVMe.Ports; p[0].ID != 3 || p[1].ID != 1 || p[2].ID != 2 {
		t.Errorf("numbers of ports: %+v", p)
	}
}

func TestNVMeSecretsAreHidden(t *testing.T) {
	d := nvmeDocument()
	text, err := Marshal(d.Redacted())
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(text), "DHHC") {
		t.Errorf("a key is shown:\n%s", text)
	}
	back, err := Decode("read", text)
	if err != nil {
		t.Fatal(err)
	}
	back.KeepSecrets(d)
	if changes := Diff(d, back); len(changes) > 0 {
		t.Errorf("a document that was read and sent back: %v", changes)
	}
}

func TestSCSIHasNoNamespaces(t *testing.T) {
	d := nvmeDocument()
	if s := d.SCSI(); len(s.Devices) != 1 || s.Devices[0].Name != "m" || len(d.Devices) != 3 {
		t.Errorf("devices of the engine: %+v", s.Devices)
	}
	if err := d.RemoveDevice("a", false); err == nil || !strings.Contains(err.Error(), "nvme-namespace/"+nvmeNQN+"/1 leads to it") {
		t.Errorf("a device of a namespace is removed: %v", err)
	}
	if err := d.RemoveDevice("a", true); err != nil || len(d.NVMe.Subsystems[0].Namespaces) != 0 {
		t.Errorf("with its namespace: %v", err)
	}
}

// Whatever is taken for a name can be one of a directory.
func FuzzNQN(f *testing.F) {
	for _, s := range []string{nvmeUUID, nvmeNQN, DiscoveryNQN, "nqn.2026-13.com.example:x", "nqn.2026-11.com.example", "nqn.2026-11.com/../x", "nqn.2014-08.org.nvmexpress:uuid:x", "nqn.2026-11..:\x00"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if CheckNQN(s) == nil && (len(s) > 223 || len(s) < 12 || strings.ContainsAny(s, "/\x00\n ") || s == DiscoveryNQN) {
			t.Errorf("%q is taken", s)
		}
	})
}

// Whatever is taken for a key has its checksum, and refusals tell none.
func FuzzDHCHAPKey(f *testing.F) {
	for _, s := range []Secret{nvmeKey("00", 32), nvmeKey("02", 48), nvmeKey("03", 64), nvmeKey("01", 48), "DHHC-1:00::", "DHHC-1:04:a:", "DHHC-1:00:====:", "dHHC-1:00:DHHC-1:"} {
		f.Add(string(s))
	}
	// A key that is words of a refusal is not told by it.
	var words string
	for _, wrong := range []Secret{"", "DHHC-1:04:a:", "DHHC-1:00:====:", nvmeKey("01", 48)} {
		words += CheckDHCHAPKey(wrong).Error()
	}
	f.Fuzz(func(t *testing.T, s string) {
		err := CheckDHCHAPKey(Secret(s))
		if err != nil {
			if len(s) > 16 && strings.Contains(err.Error(), s[10:]) && !strings.Contains(words, s[10:]) {
				t.Errorf("the refusal tells the key: %v", err)
			}
			return
		}
		b, err := base64.StdEncoding.DecodeString(strings.Split(s, ":")[2])
		if err != nil || binary.LittleEndian.Uint32(b[len(b)-4:]) != crc32.ChecksumIEEE(b[:len(b)-4]) {
			t.Errorf("%q is taken, %v", s, err)
		}
	})
}
