package lio

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/esos-project/esos/internal/config"
)

// serialPrefix is what vpd_unit_serial reads before the serial.
const serialPrefix = "T10 VPD Unit Serial Number: "

// naaDigits is what the kernel makes of a unit serial for the NAA identifier:
// its hexadecimal digits, 25 at most, with zeros behind them
// (spc_gen_naa_6h_vendor_specific).
func naaDigits(serial string) string {
	var b strings.Builder
	for _, r := range strings.ToLower(serial) {
		if b.Len() < 25 && strings.ContainsRune("0123456789abcdef", r) {
			b.WriteRune(r)
		}
	}
	return b.String() + strings.Repeat("0", 25-b.Len())
}

// naaOf is the NAA identifier that initiators see of a device: NAA 6h, the
// company's identifier, and what follows from the serial.
func naaOf(company uint64, serial string) string {
	return fmt.Sprintf("6%06x%s", company&0xffffff, naaDigits(serial))
}

// company returns the company's identifier of an NAA 6h identifier that LIO can
// have for a serial.
func company(id config.Identity) (uint64, error) {
	naa := strings.ToLower(id.NAA)
	if id.Serial == "" {
		return 0, fmt.Errorf("it has no serial, and LIO's own changes with each boot")
	}
	if len(naa) == 32 && naa[0] == '6' && naa[7:] == naaDigits(id.Serial) {
		return strconv.ParseUint(naa[1:7], 16, 24)
	}
	return 0, fmt.Errorf("LIO cannot have the NAA identifier %q: it makes one of the serial's hexadecimal digits, for %q %s; to have that, write it as naa (initiators will take the device for another one)",
		id.NAA, id.Serial, naaOf(0x001405, id.Serial))
}
