// Package engine is who serves SCSI: the interface that the appliance drives,
// whatever serves underneath. Its three rooms are native (ours, in user
// space), lio and scst (in the kernel).
package engine

import (
	"context"
	"time"

	"github.com/esos-project/esos/internal/config"
)

// Engine serves devices to initiators. Put methods create what is missing and
// change only what differs; Delete methods accept that it is gone already.
// What an engine cannot do it refuses in Supports, before anything is touched.
type Engine interface {
	// Name is native, lio or scst.
	Name() string
	// Supports returns what of the document this engine cannot do, in
	// sentences for people; nil if it can do all of it.
	Supports(d *config.Document) []error
	// Observe reads what is served now, from the engine, never from memory.
	Observe(ctx context.Context) (State, error)

	PutDevice(ctx context.Context, d config.Device) error
	// DeleteDevice refuses a device that a LUN leads to.
	DeleteDevice(ctx context.Context, name string) error
	PutPortal(ctx context.Context, p config.Portal) error
	DeletePortal(ctx context.Context, name string) error
	PutDiscovery(ctx context.Context, a config.Auth) error
	// PutTarget sets a target's own settings; Groups and LUNs are not looked at.
	PutTarget(ctx context.Context, t config.Target) error
	// DeleteTarget deletes a target with its groups and LUNs; its sessions end.
	DeleteTarget(ctx context.Context, name string) error
	// PutGroup sets a group's initiators; LUNs are not looked at.
	PutGroup(ctx context.Context, target string, g config.Group) error
	// DeleteGroup deletes a group with its LUNs.
	DeleteGroup(ctx context.Context, target, group string) error
	// PutLUN maps a LUN; group "" is the target's default map.
	PutLUN(ctx context.Context, target, group string, l config.LUN) error
	DeleteLUN(ctx context.Context, target, group string, lun int) error
	// PutDeviceGroup sets an ALUA device group as a whole.
	PutDeviceGroup(ctx context.Context, g config.DeviceGroup) error
	DeleteDeviceGroup(ctx context.Context, name string) error

	Sessions(ctx context.Context) ([]Session, error)
	CloseSession(ctx context.Context, id string) error
	Statistics(ctx context.Context) (Statistics, error)
	// Events reports what happens by itself (sessions, failed logins, a lost
	// store) until ctx ends; then it closes the channel.
	Events(ctx context.Context) (<-chan Event, error)
}

// State is what an engine serves now, in the words of the document. Devices
// report the size that they really have; all else comes back as it was put,
// defaults written out or not, so that a document that was carried out differs
// in nothing from what is observed.
type State struct {
	Devices      []config.Device
	ISCSI        config.ISCSI
	Targets      []config.Target
	DeviceGroups []config.DeviceGroup

	// Shared says that others than ESOS can change what is served, as everybody
	// with a shell can in the kernel. What differs from the document is drift
	// then, and somebody may need it as it is.
	Shared bool
	// Silent says that initiators are not told when a device grows.
	Silent bool
	// NoGrow says of handlers whose devices cannot grow why, and what to do.
	NoGrow map[config.Handler]string
	// Foreign are objects (device/D, target/T) that somebody else set up whole.
	Foreign map[string]bool
}

// NotEverywhere ends a name in an observed object that is not the same in all
// the places where the engine keeps it (an initiator's or a portal's view of a
// host group). It differs from whatever can be declared.
const NotEverywhere = " (not everywhere)"

// LUNMap names a LUN map in a sentence; group is "" for the target's own.
func LUNMap(target, group string) string {
	if group == "" {
		return "target " + target
	}
	return "group " + group + " of target " + target
}

// Session is one initiator that is logged in.
type Session struct {
	ID        string    `json:"id"`
	Target    string    `json:"target"`
	Group     string    `json:"group"` // host group it fell into; "" is the default map
	Initiator string    `json:"initiator"`
	ISID      string    `json:"isid"`
	Address   string    `json:"address"` // of the initiator
	Portal    string    `json:"portal"`
	Since     time.Time `json:"since"`
	LUNs      int       `json:"luns"`
	Active    int       `json:"active_commands"`
	Counters  Counters  `json:"counters"`
}

// Counters count I/O since the session, LUN or target came up.
type Counters struct {
	Reads      uint64 `json:"reads"`
	Writes     uint64 `json:"writes"`
	Other      uint64 `json:"other"`
	ReadBytes  uint64 `json:"read_bytes"`
	WriteBytes uint64 `json:"write_bytes"`
	Errors     uint64 `json:"errors"`
	// Latency counts commands by the time they took: bucket i holds those of
	// less than LatencyBounds[i]; the last bucket has no bound.
	ReadLatency  Histogram `json:"read_latency"`
	WriteLatency Histogram `json:"write_latency"`
}

// Histogram is a latency histogram over LatencyBounds.
type Histogram struct {
	Buckets [17]uint64    `json:"buckets"`
	Sum     time.Duration `json:"sum_ns"`
}

// LatencyBounds are the upper bounds of the buckets of a Histogram but the last:
// 16 µs doubled up to 524 ms.
func LatencyBounds() [16]time.Duration {
	var b [16]time.Duration
	for i := range b {
		b[i] = 16 * time.Microsecond << i
	}
	return b
}

// Statistics are the engine's counters.
type Statistics struct {
	LUNs []LUNStatistics `json:"luns"`
}

// LUNStatistics are the counters of one LUN of a target's group, summed over
// its sessions, ended ones included.
type LUNStatistics struct {
	Target   string   `json:"target"`
	Group    string   `json:"group"`
	LUN      int      `json:"lun"`
	Device   string   `json:"device"`
	Counters Counters `json:"counters"`
}

// Event is something that happened in the engine by itself.
type Event struct {
	Time    time.Time         `json:"time"`
	Kind    string            `json:"kind"` // session.opened, session.closed, login.refused, device.failed, target.restarted, ...
	Object  string            `json:"object"`
	Message string            `json:"message"` // a sentence for people
	Detail  map[string]string `json:"detail,omitempty"`
}
