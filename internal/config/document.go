// Package config is the declared document, esos.yaml: what the array should
// be. It reads, checks, completes and writes documents; it knows nothing of
// the machine.
package config

// Document is the whole of esos.yaml. The names of its parts are SCST's, as
// the administrators know them.
type Document struct {
	Version int    `yaml:"version" json:"version" doc:"format of this document; 1"`
	Name    string `yaml:"name" json:"name" doc:"the array's name"`
	// ID seeds serial numbers and NAA identifiers, so that they come from the
	// document and not from chance. A first apply writes one.
	ID string `yaml:"id,omitempty" json:"id,omitempty" doc:"UUID of the array"`

	Devices      []Device      `yaml:"devices,omitempty" json:"devices,omitempty"`
	ISCSI        ISCSI         `yaml:"iscsi,omitempty" json:"iscsi,omitempty"`
	Targets      []Target      `yaml:"targets,omitempty" json:"targets,omitempty"`
	DeviceGroups []DeviceGroup `yaml:"device_groups,omitempty" json:"device_groups,omitempty"`
	API          API           `yaml:"api,omitempty" json:"api,omitempty"`
}

// Device is what a LUN can lead to.
type Device struct {
	Name    string  `yaml:"name" json:"name"`
	Handler Handler `yaml:"handler" json:"handler"`
	// Path is the file, block device or ISO file; relative ones are below the
	// data directory. Empty for vdisk_nullio and vdisk_memory, and for an
	// empty vcdrom drive.
	Path         string       `yaml:"path,omitempty" json:"path,omitempty"`
	Size         Size         `yaml:"size,omitempty" json:"size,omitempty"` // not for block devices and ISO files
	Provisioning Provisioning `yaml:"provisioning,omitempty" json:"provisioning,omitempty"`
	BlockSize    int          `yaml:"block_size,omitempty" json:"block_size,omitempty"` // 512 (default) or 4096; 2048 for vcdrom
	WriteThrough bool         `yaml:"write_through,omitempty" json:"write_through,omitempty"`
	ODirect      bool         `yaml:"o_direct,omitempty" json:"o_direct,omitempty"`
	ReadOnly     bool         `yaml:"read_only,omitempty" json:"read_only,omitempty"`
	Removable    bool         `yaml:"removable,omitempty" json:"removable,omitempty"`
	Rotational   bool         `yaml:"rotational,omitempty" json:"rotational,omitempty"`
	Identity     Identity     `yaml:"identity,omitempty" json:"identity,omitempty"`
}

// Handler names what serves a device, in SCST's words. vdisk_memory is ours.
type Handler string

// Handlers of the native engine.
const (
	FileIO  Handler = "vdisk_fileio"
	BlockIO Handler = "vdisk_blockio"
	NullIO  Handler = "vdisk_nullio"
	Memory  Handler = "vdisk_memory"
	CDROM   Handler = "vcdrom"
)

// Provisioning says when a file's space is taken: thin (as it is written, the
// default) or thick (at once).
type Provisioning string

// Provisionings.
const (
	Thin  Provisioning = "thin"
	Thick Provisioning = "thick"
)

// Identity is what initiators know a device by. Empty fields are completed
// from the document's ID and the device's name (Complete), and then stay.
type Identity struct {
	Serial   string `yaml:"serial,omitempty" json:"serial,omitempty"`
	NAA      string `yaml:"naa,omitempty" json:"naa,omitempty"` // 16 or 32 hex digits, first one 3 or 6
	T10ID    string `yaml:"t10_id,omitempty" json:"t10_id,omitempty"`
	Vendor   string `yaml:"vendor,omitempty" json:"vendor,omitempty"`
	Product  string `yaml:"product,omitempty" json:"product,omitempty"`
	Revision string `yaml:"revision,omitempty" json:"revision,omitempty"`
}

// ISCSI is what all iSCSI targets share.
type ISCSI struct {
	Portals   []Portal `yaml:"portals,omitempty" json:"portals,omitempty"`
	Discovery Auth     `yaml:"discovery,omitempty" json:"discovery,omitempty"`
}

// Portal is an address that initiators connect to.
type Portal struct {
	Name     string `yaml:"name" json:"name"`
	Address  string `yaml:"address" json:"address"`                       // host:port, [v6]:port; an empty host is every address
	Group    int    `yaml:"group,omitempty" json:"group,omitempty"`       // portal group tag, 1 by default
	Announce string `yaml:"announce,omitempty" json:"announce,omitempty"` // told in discovery instead of Address (NAT)
}

// Target is an iSCSI target with its access control.
type Target struct {
	Name     string `yaml:"name" json:"name"`                         // iqn., eui. or naa.
	Driver   string `yaml:"driver,omitempty" json:"driver,omitempty"` // iscsi (default)
	Alias    string `yaml:"alias,omitempty" json:"alias,omitempty"`
	Disabled bool   `yaml:"disabled,omitempty" json:"disabled,omitempty"`
	// RelativeIDs are the relative target port identifiers by portal group
	// tag (SPC-5 4.2.2), unique in the array; missing ones are completed.
	RelativeIDs map[int]int `yaml:"relative_ids,omitempty" json:"relative_ids,omitempty"`
	Portals     []string    `yaml:"portals,omitempty" json:"portals,omitempty"` // portal names; all when empty
	Auth        Auth        `yaml:"auth,omitempty" json:"auth,omitempty"`
	Parameters  Parameters  `yaml:"parameters,omitempty" json:"parameters,omitempty"`
	Redirect    string      `yaml:"redirect,omitempty" json:"redirect,omitempty"` // host:port; logins are sent there (TargetMoved)
	LUNs        []LUN       `yaml:"luns,omitempty" json:"luns,omitempty"`         // default map: for initiators that no group matches
	Groups      []Group     `yaml:"groups,omitempty" json:"groups,omitempty"`
}

// Group is a host group (ini_group): initiators that see the same LUNs.
type Group struct {
	Name       string   `yaml:"name" json:"name"`
	Initiators []string `yaml:"initiators,omitempty" json:"initiators,omitempty"` // names or patterns with * ? and leading !
	LUNs       []LUN    `yaml:"luns,omitempty" json:"luns,omitempty"`
}

// LUN maps a logical unit number to a device.
type LUN struct {
	LUN      int    `yaml:"lun" json:"lun"` // 0 to 16383
	Device   string `yaml:"device" json:"device"`
	ReadOnly bool   `yaml:"read_only,omitempty" json:"read_only,omitempty"`
}

// Auth says who may log in. Without users everybody may whom a group names.
type Auth struct {
	Algorithms []string   `yaml:"algorithms,omitempty" json:"algorithms,omitempty"` // MD5 SHA1 SHA256 SHA3-256; all, strongest first, when empty
	Users      []CHAPUser `yaml:"users,omitempty" json:"users,omitempty"`           // what initiators prove
	Mutual     *CHAPUser  `yaml:"mutual,omitempty" json:"mutual,omitempty"`         // what the target proves when asked
}

// CHAPUser is a CHAP name and secret.
type CHAPUser struct {
	Name       string   `yaml:"name" json:"name"`
	Secret     Secret   `yaml:"secret" json:"secret"`                             // 12 to 255 bytes
	Initiators []string `yaml:"initiators,omitempty" json:"initiators,omitempty"` // only for these; all when empty
}

// Parameters are the target's side of the operational keys of RFC 7143 13;
// zero means the default.
type Parameters struct {
	HeaderDigest             []string `yaml:"header_digest,omitempty" json:"header_digest,omitempty"` // None, CRC32C; allowed ones by preference
	DataDigest               []string `yaml:"data_digest,omitempty" json:"data_digest,omitempty"`
	MaxRecvDataSegmentLength int      `yaml:"max_recv_data_segment_length,omitempty" json:"max_recv_data_segment_length,omitempty"`
	MaxBurstLength           int      `yaml:"max_burst_length,omitempty" json:"max_burst_length,omitempty"`
	FirstBurstLength         int      `yaml:"first_burst_length,omitempty" json:"first_burst_length,omitempty"`
	MaxOutstandingR2T        int      `yaml:"max_outstanding_r2t,omitempty" json:"max_outstanding_r2t,omitempty"`
	InitialR2T               *bool    `yaml:"initial_r2t,omitempty" json:"initial_r2t,omitempty"`
	ImmediateData            *bool    `yaml:"immediate_data,omitempty" json:"immediate_data,omitempty"`
	QueuedCommands           int      `yaml:"queued_commands,omitempty" json:"queued_commands,omitempty"` // CmdSN window
	NopInInterval            int      `yaml:"nop_in_interval,omitempty" json:"nop_in_interval,omitempty"` // seconds; -1 never
	NopInTimeout             int      `yaml:"nop_in_timeout,omitempty" json:"nop_in_timeout,omitempty"`
	MaxSessions              int      `yaml:"max_sessions,omitempty" json:"max_sessions,omitempty"`
}

// DeviceGroup ties devices to target groups: asymmetric access (ALUA).
type DeviceGroup struct {
	Name         string        `yaml:"name" json:"name"`
	Devices      []string      `yaml:"devices,omitempty" json:"devices,omitempty"`
	TargetGroups []TargetGroup `yaml:"target_groups,omitempty" json:"target_groups,omitempty"`
}

// TargetGroup is a set of target ports that have one access state.
type TargetGroup struct {
	Name      string        `yaml:"name" json:"name"`
	ID        int           `yaml:"id" json:"id"`                           // 1 to 65535, unique in its device group
	State     string        `yaml:"state,omitempty" json:"state,omitempty"` // active nonoptimized standby unavailable offline transitioning
	Preferred bool          `yaml:"preferred,omitempty" json:"preferred,omitempty"`
	Targets   []GroupTarget `yaml:"targets,omitempty" json:"targets,omitempty"`
}

// GroupTarget is a target in a target group; one with a RelativeID is on the
// peer node.
type GroupTarget struct {
	Name       string `yaml:"name" json:"name"`
	RelativeID int    `yaml:"relative_id,omitempty" json:"relative_id,omitempty"`
}

// API is how the REST API is reached besides the Unix socket.
type API struct {
	Listen string    `yaml:"listen,omitempty" json:"listen,omitempty"` // host:port; off when empty
	Cert   string    `yaml:"cert,omitempty" json:"cert,omitempty"`     // PEM files; a self-signed pair is made when empty
	Key    string    `yaml:"key,omitempty" json:"key,omitempty"`
	Users  []APIUser `yaml:"users,omitempty" json:"users,omitempty"`
}

// APIUser may use the REST API.
type APIUser struct {
	Name string `yaml:"name" json:"name"`
	Role string `yaml:"role" json:"role"` // admin, operator, viewer
	// Password is an argon2id hash in PHC form; Tokens are SHA-256 of the tokens.
	Password string  `yaml:"password,omitempty" json:"password,omitempty"`
	Tokens   []Token `yaml:"tokens,omitempty" json:"tokens,omitempty"`
}

// Token is a bearer token as it is kept: its name and its hash.
type Token struct {
	Name string `yaml:"name" json:"name"`
	Hash string `yaml:"hash" json:"hash"`
}

// Secret is text that must not be seen: it prints as "(secret)" everywhere but
// in the document's own YAML and on the engine's socket.
type Secret string

// String hides the secret from logs and error texts.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return "(secret)"
}

// Size is a number of bytes. In documents it is a number with an optional
// unit: 10GiB, 500MB, 1073741824.
type Size int64
