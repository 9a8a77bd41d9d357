package scsi

import (
	"encoding/binary"
	"slices"
	"strings"
)

// Vital product data pages that Unit has (SPC-5 7.7).
const (
	vpdSupportedPages       = 0x00
	vpdSerialNumber         = 0x80
	vpdDeviceIdentification = 0x83
	vpdExtendedInquiry      = 0x86
)

// vpd appends the body of a VPD page to b and says whether there is one.
func (p *Path) vpd(page byte, b []byte) ([]byte, bool) {
	u := p.Unit
	switch page {
	case vpdSupportedPages:
		start := len(b)
		b = append(b, vpdSupportedPages, vpdSerialNumber, vpdDeviceIdentification, vpdExtendedInquiry)
		b = append(b, u.device.VPDPages()...)
		slices.Sort(b[start:]) // SPC-5 7.7.19 wants them ascending
		return append(b[:start], slices.Compact(b[start:])...), true
	case vpdSerialNumber:
		return append(b, printable(u.identity.Serial)...), true
	case vpdDeviceIdentification:
		return p.identification(b), true
	case vpdExtendedInquiry:
		x := make([]byte, 60) // SPC-5 7.7.7; byte 4 of the page is x[0]
		x[1] = 0x07           // HEADSUP, ORDSUP, SIMPSUP
		x[3] = 0x01           // LUICLR: REPORT LUNS clears its attention on all LUNs
		return append(b, x...), true
	}
	return u.device.VPD(page, b)
}

// Fields of designation descriptors (SPC-5 7.7.6.1).
const (
	protocolISCSI = 0x50 // PROTOCOL IDENTIFIER, in the high half
	codeBinary    = 0x01
	codeASCII     = 0x02
	codeUTF8      = 0x03

	validProtocol    = 0x80 // PIV
	ofUnit           = 0x00 // ASSOCIATION
	ofPort           = 0x10
	ofTarget         = 0x20
	typeT10          = 0x01 // DESIGNATOR TYPE
	typeNAA          = 0x03
	typeRelativePort = 0x04
	typePortGroup    = 0x05
	typeName         = 0x08
)

// identification appends the Device Identification page (SPC-5 7.7.6).
func (p *Path) identification(b []byte) []byte {
	b = p.Unit.identity.designators(b)
	port := p.Nexus.port
	b = append(b, protocolISCSI|codeBinary, validProtocol|ofPort|typeRelativePort, 0, 4, 0, 0, byte(port.ID>>8), byte(port.ID))
	if g, ok := p.Unit.groupOf(port.ID); ok {
		b = append(b, protocolISCSI|codeBinary, validProtocol|ofPort|typePortGroup, 0, 4, 0, 0, byte(g>>8), byte(g))
	}
	b = appendName(b, ofPort, port.Name)
	target, _, _ := strings.Cut(port.Name, ",t,")
	return appendName(b, ofTarget, target)
}

// designators appends the designators of the logical unit itself.
func (i Identity) designators(b []byte) []byte {
	if i.T10ID != "" {
		id := printable(i.T10ID)
		b = append(b, codeASCII, ofUnit|typeT10, 0, byte(8+len(id)))
		b = append(b, make([]byte, 8)...)
		putText(b[len(b)-8:], i.Vendor)
		b = append(b, id...)
	}
	switch {
	case i.NAA == 0:
	case i.NAA>>60 == 6:
		b = append(b, codeBinary, ofUnit|typeNAA, 0, 16)
		b = binary.BigEndian.AppendUint64(b, i.NAA)
		b = binary.BigEndian.AppendUint64(b, i.NAAExt)
	default:
		b = append(b, codeBinary, ofUnit|typeNAA, 0, 8)
		b = binary.BigEndian.AppendUint64(b, i.NAA)
	}
	return b
}

// Designators appends the designation descriptors (SPC-5 7.7.6.1) that name
// the unit itself, as VPD page 83h has them: what EXTENDED COPY names units by.
func (u *Unit) Designators(b []byte) []byte { return u.identity.designators(b) }

// appendName appends a SCSI name string designator: UTF-8, ended by a NUL and
// padded to four bytes (SPC-5 7.7.6.11).
func appendName(b []byte, association byte, name string) []byte {
	name = name[:min(len(name), 251)]
	n := (len(name) + 4) &^ 3
	b = append(b, protocolISCSI|codeUTF8, validProtocol|association|typeName, 0, byte(n))
	b = append(b, name...)
	return append(b, make([]byte, n-len(name))...)
}

// printable is s with whatever is not printable ASCII made a space, cut to
// what a length byte can carry along with a vendor identification.
func printable(s string) []byte {
	b := []byte(s[:min(len(s), 240)])
	for i, c := range b {
		if c < 0x20 || c > 0x7e {
			b[i] = ' '
		}
	}
	return b
}
