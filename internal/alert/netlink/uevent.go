package netlink

import (
	"bytes"
	"errors"
	"fmt"
)

// Uevent is what the kernel tells of a device.
type Uevent struct {
	Action    string // add, remove, change, move, online, offline, bind, unbind
	Path      string // below /sys
	Subsystem string // block, net, ...
	Env       map[string]string
}

// ParseUevent reads a message of the kernel: ACTION@PATH, then KEY=value, each
// ended by a zero byte.
func ParseUevent(m []byte) (Uevent, error) {
	head, rest, ok := bytes.Cut(m, []byte{0})
	action, path, at := bytes.Cut(head, []byte{'@'})
	if !ok || !at || len(action) == 0 || len(path) == 0 {
		return Uevent{}, errors.New("read a uevent: it does not begin with ACTION@PATH")
	}
	e := Uevent{Action: string(action), Path: string(path), Env: map[string]string{}}
	for len(rest) > 0 {
		var pair []byte
		if pair, rest, ok = bytes.Cut(rest, []byte{0}); !ok {
			return Uevent{}, fmt.Errorf("read uevent %s@%s: it is cut off", e.Action, e.Path)
		}
		k, v, eq := bytes.Cut(pair, []byte{'='})
		if !eq {
			return Uevent{}, fmt.Errorf("read uevent %s@%s: %q is no KEY=value", e.Action, e.Path, pair)
		}
		e.Env[string(k)] = string(v)
	}
	if e.Subsystem = e.Env["SUBSYSTEM"]; e.Subsystem == "" {
		return Uevent{}, fmt.Errorf("read uevent %s@%s: it names no subsystem", e.Action, e.Path)
	}
	return e, nil
}

// OfBlockDevice says whether a message is about a block device.
func OfBlockDevice(m []byte) bool {
	e, err := ParseUevent(m)
	return err == nil && e.Subsystem == "block"
}

// SettledBlockDevice says whether a message of udev is about a block device.
// Such a message has a header of udev's own before its KEY=value pairs, so it
// is only searched: it is a hint to look, never a fact.
func SettledBlockDevice(m []byte) bool {
	return bytes.Contains(m, []byte("\x00SUBSYSTEM=block\x00"))
}
