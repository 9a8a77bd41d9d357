package config

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
)

// completeNVMe fills numbers of ports, serial numbers and the identities of
// namespaces. A namespace that leads to another device than before is another
// one to hosts, too.
func completeNVMe(d, previous *Document) error {
	if err := completePortIDs(&d.NVMe, previous.NVMe); err != nil {
		return err
	}
	before := map[string]NVMeSubsystem{}
	for _, s := range previous.NVMe.Subsystems {
		before[s.NQN] = s
	}
	for i := range d.NVMe.Subsystems {
		s := &d.NVMe.Subsystems[i]
		was := before[s.NQN]
		s.Serial = cmp.Or(s.Serial, was.Serial, derive(d.ID, "nvme-subsystem", s.NQN)[:16])
		had := map[int]NVMeNamespace{}
		for _, ns := range was.Namespaces {
			had[ns.NSID] = ns
		}
		for j := range s.Namespaces {
			ns := &s.Namespaces[j]
			was := had[ns.NSID]
			if was.Device != ns.Device {
				was = NVMeNamespace{}
			}
			seed := derive(d.ID, "nvme-namespace", ns.Device)
			ns.UUID = cmp.Or(ns.UUID, was.UUID, uuidOf(seed[:32]))
			// Vendor extension, company, vendor extension (NVMe Base 4.5.1); the
			// company is that of our NAA identifiers.
			ns.NGUID = cmp.Or(ns.NGUID, was.NGUID, seed[32:48]+"001405"+seed[48:58])
		}
	}
	return nil
}

func completePortIDs(n *NVMe, previous NVMe) error {
	taken := map[int]bool{}
	for _, p := range n.Ports {
		taken[p.ID] = true
	}
	before := map[string]int{}
	for _, p := range previous.Ports {
		before[p.Name] = p.ID
	}
	for i := range n.Ports {
		if p := &n.Ports[i]; p.ID == 0 && before[p.Name] != 0 && !taken[before[p.Name]] {
			p.ID = before[p.Name]
			taken[p.ID] = true
		}
	}
	next := 1
	for i := range n.Ports {
		p := &n.Ports[i]
		if p.ID != 0 {
			continue
		}
		for taken[next] {
			next++
		}
		if next > 65535 {
			return fmt.Errorf("complete the number of NVMe port %q: all 65535 are taken", p.Name)
		}
		p.ID = next
		taken[next] = true
	}
	return nil
}

// derive makes 64 hex digits that follow from the array and a name.
func derive(arrayID, kind, name string) string {
	sum := sha256.Sum256([]byte(arrayID + "/" + kind + "/" + name))
	return hex.EncodeToString(sum[:])
}

// uuidOf makes a UUID of 32 hex digits (version 8, RFC 9562 5.8).
func uuidOf(digits string) string {
	b := []byte(digits)
	b[12], b[16] = '8', "89ab"[b[16]&3]
	return fmt.Sprintf("%s-%s-%s-%s-%s", b[:8], b[8:12], b[12:16], b[16:20], b[20:])
}
