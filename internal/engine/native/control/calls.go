package control

import (
	"context"
	"os"
)

// Requests. Put requests make what is missing and change what differs.
const (
	OpHello             = "hello"
	OpPutDevice         = "device.put"
	OpDeleteDevice      = "device.delete"
	OpPutPortal         = "portal.put"
	OpDeletePortal      = "portal.delete"
	OpPutDiscovery      = "discovery.put"
	OpPutTarget         = "target.put"
	OpDeleteTarget      = "target.delete"
	OpPutGroup          = "group.put"
	OpDeleteGroup       = "group.delete"
	OpPutLUN            = "lun.put"
	OpDeleteLUN         = "lun.delete"
	OpPutDeviceGroup    = "device-group.put"
	OpDeleteDeviceGroup = "device-group.delete"
	OpObserve           = "observe"
	OpSessions          = "sessions"
	OpCloseSession      = "session.close"
	OpStatistics        = "statistics"
	OpStop              = "stop"

	opEvent = "event"
)

// Name is the request of most deletions.
type Name struct {
	Name string `json:"name"`
}

// GroupRequest puts a group.
type GroupRequest struct {
	Target string `json:"target"`
	Group  Group  `json:"group"`
}

// LUNRequest puts a LUN, or deletes the one of that number.
type LUNRequest struct {
	Map
	LUN LUN `json:"lun"`
}

// Hello asks the process who it is.
func (c *Client) Hello(ctx context.Context) (h Hello, err error) {
	return h, c.call(ctx, OpHello, nil, &h)
}

// PutDevice serves a device, or changes it. file holds its bytes: it is needed
// when the device is new or its path changed, and nil otherwise.
func (c *Client) PutDevice(ctx context.Context, d Device, file *os.File) (served Device, err error) {
	return served, c.call(ctx, OpPutDevice, d, &served, some(file)...)
}

// DeleteDevice ends serving a device that no LUN leads to.
func (c *Client) DeleteDevice(ctx context.Context, name string) error {
	return c.call(ctx, OpDeleteDevice, Name{name}, nil)
}

// PutPortal accepts initiators on a listening socket, or changes what is told
// of it; l is needed when the portal is new or its address changed.
func (c *Client) PutPortal(ctx context.Context, p Portal, l *os.File) error {
	return c.call(ctx, OpPutPortal, p, nil, some(l)...)
}

// DeletePortal closes a portal and its connections.
func (c *Client) DeletePortal(ctx context.Context, name string) error {
	return c.call(ctx, OpDeletePortal, Name{name}, nil)
}

// PutDiscovery sets who may discover.
func (c *Client) PutDiscovery(ctx context.Context, a Auth) error {
	return c.call(ctx, OpPutDiscovery, a, nil)
}

// PutTarget sets a target's own settings.
func (c *Client) PutTarget(ctx context.Context, t Target) error {
	t.LUNs, t.Groups = nil, nil
	return c.call(ctx, OpPutTarget, t, nil)
}

// DeleteTarget ends a target, its sessions included.
func (c *Client) DeleteTarget(ctx context.Context, name string) error {
	return c.call(ctx, OpDeleteTarget, Name{name}, nil)
}

// PutGroup sets a host group's initiators.
func (c *Client) PutGroup(ctx context.Context, target string, g Group) error {
	g.LUNs = nil
	return c.call(ctx, OpPutGroup, GroupRequest{target, g}, nil)
}

// DeleteGroup ends a host group with its LUN map.
func (c *Client) DeleteGroup(ctx context.Context, target, group string) error {
	return c.call(ctx, OpDeleteGroup, Map{target, group}, nil)
}

// PutLUN maps a LUN.
func (c *Client) PutLUN(ctx context.Context, m Map, l LUN) error {
	return c.call(ctx, OpPutLUN, LUNRequest{m, l}, nil)
}

// DeleteLUN unmaps a LUN.
func (c *Client) DeleteLUN(ctx context.Context, m Map, lun int) error {
	return c.call(ctx, OpDeleteLUN, LUNRequest{m, LUN{LUN: lun}}, nil)
}

// PutDeviceGroup sets an ALUA device group.
func (c *Client) PutDeviceGroup(ctx context.Context, g DeviceGroup) error {
	return c.call(ctx, OpPutDeviceGroup, g, nil)
}

// DeleteDeviceGroup ends an ALUA device group: its devices are active on all
// ports again.
func (c *Client) DeleteDeviceGroup(ctx context.Context, name string) error {
	return c.call(ctx, OpDeleteDeviceGroup, Name{name}, nil)
}

// Observe asks what is served.
func (c *Client) Observe(ctx context.Context) (s State, err error) {
	return s, c.call(ctx, OpObserve, nil, &s)
}

// Sessions asks who is logged in.
func (c *Client) Sessions(ctx context.Context) (s []Session, err error) {
	return s, c.call(ctx, OpSessions, nil, &s)
}

// CloseSession ends a session.
func (c *Client) CloseSession(ctx context.Context, id string) error {
	return c.call(ctx, OpCloseSession, Name{id}, nil)
}

// Statistics asks for the counters of all LUNs.
func (c *Client) Statistics(ctx context.Context) (s []LUNStatistics, err error) {
	return s, c.call(ctx, OpStatistics, nil, &s)
}

// Stop asks the process to log its initiators out, make everything stable and
// end; the answer comes when that is done, just before the end.
func (c *Client) Stop(ctx context.Context) error {
	return c.call(ctx, OpStop, nil, nil)
}

// some is the list of the files that there are.
func some(f *os.File) []*os.File {
	if f == nil {
		return nil
	}
	return []*os.File{f}
}
