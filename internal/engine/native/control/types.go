package control

import "time"

// The types say the same as those of package config; they are their own so
// that the target process does not link what reads documents.

// Hello is the process's answer to the first request.
type Hello struct {
	Protocol    int       `json:"protocol"`
	Build       string    `json:"build"` // version of the binary
	PID         int       `json:"pid"`
	Started     time.Time `json:"started"`
	Confinement []string  `json:"confinement"` // what holds, in words
}

// Device is a device as it is asked for and as it is served.
type Device struct {
	Name         string   `json:"name"`
	Handler      string   `json:"handler"`
	Path         string   `json:"path,omitempty"` // for people and for Observe; the process never opens it
	Size         int64    `json:"size,omitempty"` // served: the real one
	Thin         bool     `json:"thin,omitempty"`
	BlockSize    int      `json:"block_size,omitempty"`
	WriteThrough bool     `json:"write_through,omitempty"`
	ODirect      bool     `json:"o_direct,omitempty"`
	ReadOnly     bool     `json:"read_only,omitempty"`
	Removable    bool     `json:"removable,omitempty"`
	Rotational   bool     `json:"rotational,omitempty"`
	Identity     Identity `json:"identity"`
}

// Identity is what initiators know a device by.
type Identity struct {
	Serial   string `json:"serial,omitempty"`
	NAA      string `json:"naa,omitempty"`
	T10ID    string `json:"t10_id,omitempty"`
	Vendor   string `json:"vendor,omitempty"`
	Product  string `json:"product,omitempty"`
	Revision string `json:"revision,omitempty"`
}

// Portal is a listening socket; the socket itself rides on the frame.
type Portal struct {
	Name     string `json:"name"`
	Address  string `json:"address"`
	Group    int    `json:"group"`
	Announce string `json:"announce,omitempty"`
	Bound    string `json:"bound,omitempty"` // served: where it really listens
}

// Auth says who may log in.
type Auth struct {
	Algorithms []string `json:"algorithms,omitempty"`
	Users      []User   `json:"users,omitempty"`
	Mutual     *User    `json:"mutual,omitempty"`
}

// User is a CHAP name and secret.
type User struct {
	Name       string   `json:"name"`
	Secret     string   `json:"secret"`
	Initiators []string `json:"initiators,omitempty"`
}

// Target is a target. To put one, LUNs and Groups are left empty.
type Target struct {
	Name        string      `json:"name"`
	Alias       string      `json:"alias,omitempty"`
	Disabled    bool        `json:"disabled,omitempty"`
	RelativeIDs map[int]int `json:"relative_ids,omitempty"`
	Portals     []string    `json:"portals,omitempty"`
	Auth        Auth        `json:"auth"`
	Parameters  Parameters  `json:"parameters"`
	Redirect    string      `json:"redirect,omitempty"`
	LUNs        []LUN       `json:"luns,omitempty"`
	Groups      []Group     `json:"groups,omitempty"`
}

// Parameters are the operational keys of RFC 7143 13; zero is the default.
type Parameters struct {
	HeaderDigest             []string `json:"header_digest,omitempty"`
	DataDigest               []string `json:"data_digest,omitempty"`
	MaxRecvDataSegmentLength int      `json:"max_recv_data_segment_length,omitempty"`
	MaxBurstLength           int      `json:"max_burst_length,omitempty"`
	FirstBurstLength         int      `json:"first_burst_length,omitempty"`
	MaxOutstandingR2T        int      `json:"max_outstanding_r2t,omitempty"`
	InitialR2T               *bool    `json:"initial_r2t,omitempty"`
	ImmediateData            *bool    `json:"immediate_data,omitempty"`
	QueuedCommands           int      `json:"queued_commands,omitempty"`
	NopInInterval            int      `json:"nop_in_interval,omitempty"`
	NopInTimeout             int      `json:"nop_in_timeout,omitempty"`
	MaxSessions              int      `json:"max_sessions,omitempty"`
}

// Group is a host group. To put one, LUNs is left empty.
type Group struct {
	Name       string   `json:"name"`
	Initiators []string `json:"initiators,omitempty"`
	LUNs       []LUN    `json:"luns,omitempty"`
}

// LUN maps a logical unit number to a device.
type LUN struct {
	LUN      int    `json:"lun"`
	Device   string `json:"device"`
	ReadOnly bool   `json:"read_only,omitempty"`
}

// Map says where a group or a LUN belongs; an empty Group is the default map.
type Map struct {
	Target string `json:"target"`
	Group  string `json:"group,omitempty"`
}

// DeviceGroup is an ALUA device group.
type DeviceGroup struct {
	Name         string        `json:"name"`
	Devices      []string      `json:"devices,omitempty"`
	TargetGroups []TargetGroup `json:"target_groups,omitempty"`
}

// TargetGroup is a set of target ports with one access state.
type TargetGroup struct {
	Name      string        `json:"name"`
	ID        int           `json:"id"`
	State     string        `json:"state,omitempty"`
	Preferred bool          `json:"preferred,omitempty"`
	Targets   []GroupTarget `json:"targets,omitempty"`
}

// GroupTarget is a target in a target group.
type GroupTarget struct {
	Name       string `json:"name"`
	RelativeID int    `json:"relative_id,omitempty"`
}

// State is everything that is served.
type State struct {
	Devices      []Device      `json:"devices"`
	Portals      []Portal      `json:"portals"`
	Discovery    Auth          `json:"discovery"`
	Targets      []Target      `json:"targets"`
	DeviceGroups []DeviceGroup `json:"device_groups"`
}

// Session is an initiator that is logged in.
type Session struct {
	ID        string    `json:"id"`
	Target    string    `json:"target"`
	Group     string    `json:"group"`
	Initiator string    `json:"initiator"`
	ISID      string    `json:"isid"`
	Address   string    `json:"address"`
	Portal    string    `json:"portal"`
	Since     time.Time `json:"since"`
	LUNs      int       `json:"luns"`
	Active    int       `json:"active"`
	Counters  Counters  `json:"counters"`
}

// Counters count I/O.
type Counters struct {
	Reads        uint64    `json:"reads"`
	Writes       uint64    `json:"writes"`
	Other        uint64    `json:"other"`
	ReadBytes    uint64    `json:"read_bytes"`
	WriteBytes   uint64    `json:"write_bytes"`
	Errors       uint64    `json:"errors"`
	ReadLatency  Histogram `json:"read_latency"`
	WriteLatency Histogram `json:"write_latency"`
}

// Histogram is a latency histogram over engine.LatencyBounds.
type Histogram struct {
	Buckets [17]uint64    `json:"buckets"`
	Sum     time.Duration `json:"sum"`
}

// LUNStatistics are the counters of one LUN of a target's group.
type LUNStatistics struct {
	Target   string   `json:"target"`
	Group    string   `json:"group"`
	LUN      int      `json:"lun"`
	Device   string   `json:"device"`
	Counters Counters `json:"counters"`
}

// Event is something that happened in the process by itself.
type Event struct {
	Time    time.Time         `json:"time"`
	Kind    string            `json:"kind"`
	Object  string            `json:"object,omitempty"`
	Message string            `json:"message"`
	Detail  map[string]string `json:"detail,omitempty"`
	Log     string            `json:"log,omitempty"`  // a log record of this level, not an event
	Lost    int               `json:"lost,omitempty"` // events dropped before this one, for want of a reader
}
