package config

import "net"

// WithDefaults returns the device with what an empty field means written out:
// what engines serve and what observed devices are compared with. The
// document itself keeps its fields empty.
func (d Device) WithDefaults() Device {
	if d.Handler.PassThrough() {
		return d // it is what the SCSI device is
	}
	if d.BlockSize == 0 {
		d.BlockSize = 512
		if d.Handler == CDROM {
			d.BlockSize = 2048
		}
	}
	if d.Handler == FileIO && d.Provisioning == "" {
		d.Provisioning = Thin
	}
	if d.Handler == CDROM {
		d.ReadOnly, d.Removable = true, true
	}
	id := &d.Identity
	if id.Vendor == "" {
		id.Vendor = "ESOS"
	}
	if id.Product == "" {
		id.Product = d.Name[:min(len(d.Name), 16)]
	}
	if id.Revision == "" {
		id.Revision = "1.0"
	}
	return d
}

// EngineName is who serves, with the default written out.
func (d *Document) EngineName() string {
	if d.Engine == "" {
		return "native"
	}
	return d.Engine
}

// WithDefaults returns the portal with its group tag written out.
func (p Portal) WithDefaults() Portal {
	if p.Group == 0 {
		p.Group = 1
	}
	return p
}

// WithDefaults returns the target with its driver written out.
func (t Target) WithDefaults() Target {
	if t.Driver == "" {
		t.Driver = DriverISCSI
	}
	return t
}

// WithDefaults returns the target group with its state written out.
func (g TargetGroup) WithDefaults() TargetGroup {
	if g.State == "" {
		g.State = "active"
	}
	return g
}

// Tags returns the tags of the portal groups that a target is reached by,
// each once, in the order of the portals. A target without portals has one.
func (d *Document) Tags(t Target) []int {
	if !t.Driver.Portals() {
		return []int{LoneTag}
	}
	allowed := map[string]bool{}
	for _, name := range t.Portals {
		allowed[name] = true
	}
	var tags []int
	seen := map[int]bool{}
	for _, p := range d.ISCSI.Portals {
		tag := p.WithDefaults().Group
		if (len(t.Portals) == 0 || allowed[p.Name]) && !seen[tag] {
			seen[tag] = true
			tags = append(tags, tag)
		}
	}
	return tags
}

// Loopback says whether an address (host:port) is reached from this machine
// only.
func Loopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
