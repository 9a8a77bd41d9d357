package nvme

import (
	"fmt"
	"slices"
	"strings"
)

// felt says who is connected to a subsystem through some of its ports (all if
// nil), as a step's Disrupts; "" if nobody is.
func (p *planner) felt(nqn string, ports []int) string {
	if !p.seen.NVMe.Tells {
		return p.unknown(nqn)
	}
	var hosts []string
	for _, c := range p.seen.NVMe.Controllers {
		if c.Subsystem == nqn && (ports == nil || slices.Contains(ports, c.Port)) && !slices.Contains(hosts, c.Host) {
			hosts = append(hosts, c.Host)
		}
	}
	return connected(hosts)
}

// feltBy is felt by some hosts only.
func (p *planner) feltBy(nqn string, host func(nqn string) bool) string {
	if !p.seen.NVMe.Tells {
		return p.unknown(nqn)
	}
	var hosts []string
	for _, c := range p.seen.NVMe.Controllers {
		if c.Subsystem == nqn && host(c.Host) && !slices.Contains(hosts, c.Host) {
			hosts = append(hosts, c.Host)
		}
	}
	return connected(hosts)
}

// unknown says that somebody may be connected.
func (p *planner) unknown(nqn string) string {
	for _, port := range p.seen.NVMe.Ports {
		if slices.Contains(port.Links, nqn) {
			return "hosts that are connected, of which this kernel does not tell, feel it"
		}
	}
	return "" // nobody can be
}

// shown is how many hosts are told by name.
const shown = 3

func connected(hosts []string) string {
	switch n := len(hosts); {
	case n == 0:
		return ""
	case n == 1:
		return fmt.Sprintf("1 host is connected: %s", hosts[0])
	case n > shown:
		return fmt.Sprintf("%d hosts are connected: %s, ...", n, strings.Join(hosts[:shown], ", "))
	default:
		return fmt.Sprintf("%d hosts are connected: %s", n, strings.Join(hosts, ", "))
	}
}
