package config

import "slices"

// FindTargetGroup returns a target group of a device group.
func (d *Document) FindTargetGroup(deviceGroup, name string) (*TargetGroup, error) {
	g, err := d.FindDeviceGroup(deviceGroup)
	if err != nil {
		return nil, err
	}
	return find(g.TargetGroups, "target group of device group "+deviceGroup, name, func(v TargetGroup) string { return v.Name })
}

// AddTargetGroup adds a target group to a device group.
func (d *Document) AddTargetGroup(deviceGroup string, v TargetGroup) error {
	g, err := d.FindDeviceGroup(deviceGroup)
	if err != nil {
		return err
	}
	return add(&g.TargetGroups, "target group of device group "+deviceGroup, v.Name, v, func(v TargetGroup) string { return v.Name })
}

// RemoveTargetGroup removes a target group from a device group.
func (d *Document) RemoveTargetGroup(deviceGroup, name string) error {
	if _, err := d.FindTargetGroup(deviceGroup, name); err != nil {
		return err
	}
	g, _ := d.FindDeviceGroup(deviceGroup) // it was found above
	g.TargetGroups = slices.DeleteFunc(g.TargetGroups, func(v TargetGroup) bool { return v.Name == name })
	return nil
}

// NextID is an identifier for another target group.
func (g *DeviceGroup) NextID() int {
	id := 0
	for _, have := range g.TargetGroups {
		id = max(id, have.ID)
	}
	return id + 1
}
