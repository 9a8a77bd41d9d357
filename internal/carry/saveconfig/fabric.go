package saveconfig

import (
	"strings"

	"github.com/esos-project/esos/internal/config"
)

// fabrics are rtslib's names of what carries targets, by our drivers.
func fabrics() map[config.Driver]string {
	return map[config.Driver]string{
		config.DriverISCSI: "iscsi", config.DriverSRP: "srpt", config.DriverFC: "qla2xxx", config.DriverFCoE: "tcm_fc", config.DriverLocal: "loopback",
	}
}

// driverOf is the driver of a fabric; false if documents have none for it.
func driverOf(fabric string) (config.Driver, bool) {
	for d, name := range fabrics() {
		if name == fabric {
			return d, true
		}
	}
	return "", false
}

// prefix is what rtslib writes before the digits of a port's name.
func prefix(d config.Driver) string {
	switch d {
	case config.DriverSRP:
		return "ib."
	case config.DriverFC, config.DriverFCoE:
		return "naa."
	}
	return ""
}

// fromWWN takes the digits of a port's name out of rtslib's word for it.
func fromWWN(d config.Driver, wwn string) string {
	return strings.TrimPrefix(strings.ToLower(wwn), prefix(d))
}

// toWWN is rtslib's word for a port: its prefix and digits.
func toWWN(d config.Driver, name string) string {
	if prefix(d) == "" {
		return name
	}
	return prefix(d) + strings.ReplaceAll(strings.TrimPrefix(d.InitiatorName(name), "0x"), ":", "")
}

// passedHandler is the handler of a SCSI device by the name that opens it; ""
// if that does not say what it is.
func passedHandler(dev string) config.Handler {
	for p, h := range map[string]config.Handler{
		"/dev/sd": config.PassDisk, "/dev/disk/": config.PassDisk, "/dev/st": config.PassTape, "/dev/nst": config.PassTape,
		"/dev/tape/": config.PassTape, "/dev/sr": config.PassCDROM, "/dev/sch": config.PassChanger,
	} {
		if strings.HasPrefix(dev, p) {
			return h
		}
	}
	return ""
}
