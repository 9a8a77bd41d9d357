package saveconfig

import (
	"reflect"
	"strings"

	"github.com/esos-project/esos/internal/config"
)

// vendor and revision are what LIO's own disks tell in INQUIRY.
const (
	vendor   = "LIO-ORG"
	revision = "4.0"
)

// identity keeps what initiators know a disk by. LIO makes all of it of the
// wwn, which it tells as the serial number.
func (r *reader) identity(d *config.Device, o object, product string) {
	wwn := o.text("wwn")
	d.Identity = config.Identity{Vendor: vendor, Product: product, Revision: revision}
	if wwn == "" {
		r.f.Miss(o.n.at, "wwn of "+o.of, "the file has none, so LIO made one at each start; ESOS makes one that stays")
		return
	}
	id := &d.Identity
	id.Serial, id.NAA, id.T10ID = wwn, naa(wwn), product+":"+wwn
	if len(wwn) > 32 {
		id.Serial = strings.ReplaceAll(wwn, "-", "")
		r.f.Miss(o.n.at, "wwn of "+o.of, "as a serial number it has 32 characters at most here, so its dashes go (NAA and T10 identifier stay)")
	}
	if !printable(wwn) || len(id.Serial) > 32 || len(id.T10ID) > 96 {
		r.f.Miss(o.n.at, "wwn of "+o.of, "a serial number has at most 32 printable characters; ESOS makes one")
		id.Serial, id.NAA, id.T10ID = "", "", ""
		return
	}
	if r.serials[id.Serial] || r.naas[id.NAA] {
		r.f.Miss(o.n.at, "wwn of "+o.of, "another disk has the same identifier; ESOS makes one")
		id.Serial, id.NAA, id.T10ID = "", "", ""
		return
	}
	r.serials[id.Serial], r.naas[id.NAA] = true, true
}

// naa is LIO's identifier of a wwn: NAA 6, the company 001405, and the first
// 25 hexadecimal digits of the wwn (spc_gen_naa_6h_vendor_specific of
// target_core_spc.c).
func naa(wwn string) string {
	const digits = 25
	var b strings.Builder
	b.WriteString("6001405")
	for _, c := range strings.ToLower(wwn) {
		if b.Len() < 7+digits && strings.ContainsRune("0123456789abcdef", c) {
			b.WriteRune(c)
		}
	}
	return b.String() + strings.Repeat("0", 7+digits-b.Len())
}

// wwnOf finds the wwn that makes a device's identity, or comes nearest.
func wwnOf(id config.Identity) string {
	if wwn, ok := strings.CutPrefix(id.T10ID, id.Product+":"); ok && naa(wwn) == id.NAA {
		return wwn
	}
	s := id.Serial
	if len(s) == 32 && strings.Trim(s, "0123456789abcdef") == "" {
		return s[:8] + "-" + s[8:12] + "-" + s[12:16] + "-" + s[16:20] + "-" + s[20:]
	}
	return s
}

func printable(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return r < 0x20 || r > 0x7e }) < 0
}

func sameGroups(a, b []config.TargetGroup) bool { return reflect.DeepEqual(a, b) }
