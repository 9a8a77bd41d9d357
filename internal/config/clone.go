package config

import "maps"

// Clone returns a deep copy.
func (d *Document) Clone() *Document {
	c := *d
	c.Storage = d.Storage.Clone()
	c.Devices = append([]Device(nil), d.Devices...)
	for i := range c.Devices {
		c.Devices[i].Attributes = maps.Clone(c.Devices[i].Attributes)
	}
	c.ISCSI.Portals = append([]Portal(nil), d.ISCSI.Portals...)
	c.ISCSI.Discovery = d.ISCSI.Discovery.clone()
	c.Targets = make([]Target, 0, len(d.Targets))
	for _, t := range d.Targets {
		c.Targets = append(c.Targets, t.Clone())
	}
	c.DeviceGroups = make([]DeviceGroup, 0, len(d.DeviceGroups))
	for _, g := range d.DeviceGroups {
		c.DeviceGroups = append(c.DeviceGroups, g.Clone())
	}
	c.NVMe = d.NVMe.Clone()
	c.Network = d.Network.Clone()
	c.Clock = d.Clock.Clone()
	c.Mail = d.Mail.Clone()
	c.Users = cloneUsers(d.Users)
	c.Services = append([]Service(nil), d.Services...)
	c.API.Users = append([]APIUser(nil), d.API.Users...)
	for i := range c.API.Users {
		c.API.Users[i].Tokens = append([]Token(nil), c.API.Users[i].Tokens...)
	}
	return &c
}

// Clone returns a deep copy.
func (t Target) Clone() Target {
	if t.RelativeIDs != nil {
		ids := make(map[int]int, len(t.RelativeIDs))
		for tag, id := range t.RelativeIDs {
			ids[tag] = id
		}
		t.RelativeIDs = ids
	}
	t.Portals = append([]string(nil), t.Portals...)
	t.Auth = t.Auth.clone()
	p := &t.Parameters
	p.HeaderDigest = append([]string(nil), p.HeaderDigest...)
	p.DataDigest = append([]string(nil), p.DataDigest...)
	if p.InitialR2T != nil {
		p.InitialR2T = new(*p.InitialR2T)
	}
	if p.ImmediateData != nil {
		p.ImmediateData = new(*p.ImmediateData)
	}
	t.Attributes = maps.Clone(t.Attributes)
	t.LUNs = append([]LUN(nil), t.LUNs...)
	t.Groups = append([]Group(nil), t.Groups...)
	for i := range t.Groups {
		g := &t.Groups[i]
		g.Initiators = append([]string(nil), g.Initiators...)
		g.Attributes = maps.Clone(g.Attributes)
		g.LUNs = append([]LUN(nil), g.LUNs...)
	}
	return t
}

// Clone returns a deep copy.
func (g DeviceGroup) Clone() DeviceGroup {
	g.Devices = append([]string(nil), g.Devices...)
	g.TargetGroups = append([]TargetGroup(nil), g.TargetGroups...)
	for i := range g.TargetGroups {
		g.TargetGroups[i].Targets = append([]GroupTarget(nil), g.TargetGroups[i].Targets...)
	}
	return g
}

func (a Auth) clone() Auth {
	a.Algorithms = append([]string(nil), a.Algorithms...)
	a.Users = append([]CHAPUser(nil), a.Users...)
	for i := range a.Users {
		a.Users[i].Initiators = append([]string(nil), a.Users[i].Initiators...)
	}
	if a.Mutual != nil {
		m := *a.Mutual
		m.Initiators = append([]string(nil), m.Initiators...)
		a.Mutual = &m
	}
	return a
}
