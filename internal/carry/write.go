package carry

import (
	"net"
	"net/netip"
	"path/filepath"
	"strconv"

	"github.com/esos-project/esos/internal/config"
)

// Told is what a writer could not say.
type Told struct{ Left []Left }

// Leave notes what the format has no place for and is only tuning.
func (t *Told) Leave(what, why string) { t.Left = append(t.Left, Left{What: what, Why: why}) }

// Miss notes what the format has no place for and initiators notice.
func (t *Told) Miss(what, why string) {
	t.Left = append(t.Left, Left{What: what, Why: why, Missed: true})
}

// Machine notes what belongs to the machine and not to its targets.
func (t *Told) Machine(d *config.Document) {
	c := d.Clone()
	if c.NVMe.Declared() {
		t.Leave("nvme", "the file is of SCSI targets only; the devices of namespaces are in it without a LUN")
		c.NVMe = config.NVMe{}
	}
	c.Version, c.Name, c.ID, c.Devices, c.ISCSI, c.Targets, c.DeviceGroups = 0, "", "", nil, config.ISCSI{}, nil, nil
	for _, part := range config.Fields(config.Document{}, *c) {
		if part.New != "" {
			t.Leave("network, clock, mail, users, services and the API", "the file is of devices and targets only")
			return
		}
	}
}

// Path is a device's path as other targets take it: absolute.
func (o Options) Path(d config.Device) string {
	if d.Path == "" || filepath.IsAbs(d.Path) {
		return d.Path
	}
	return filepath.Join(o.DataDir, d.Path)
}

// Host splits a portal's address; wild is set for every address of the machine.
func Host(p config.Portal) (host string, port int, wild bool) {
	host, text, err := net.SplitHostPort(p.Address)
	if err != nil {
		return "", 0, true
	}
	port, _ = strconv.Atoi(text)
	addr, err := netip.ParseAddr(host)
	return host, port, err != nil || addr.IsUnspecified()
}
