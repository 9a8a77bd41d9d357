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

	// Engine is who serves. When it changes, all that is served ends and begins anew.
	Engine string `yaml:"engine,omitempty" json:"engine,omitempty" enum:"native,lio,scst" doc:"who serves: ESOS's own target in user space (default), or LIO or SCST in the kernel; all that is served ends and begins anew when it changes"`

	Storage      Storage       `yaml:"storage,omitempty" json:"storage,omitempty" doc:"what devices stand on: arrays, volumes, file systems"`
	Devices      []Device      `yaml:"devices,omitempty" json:"devices,omitempty" doc:"what LUNs can lead to"`
	ISCSI        ISCSI         `yaml:"iscsi,omitempty" json:"iscsi,omitempty" doc:"what all iSCSI targets share"`
	Targets      []Target      `yaml:"targets,omitempty" json:"targets,omitempty" doc:"what initiators log in to"`
	DeviceGroups []DeviceGroup `yaml:"device_groups,omitempty" json:"device_groups,omitempty" doc:"asymmetric access (ALUA): devices and the target groups that lead to them"`
	NVMe         NVMe          `yaml:"nvme,omitempty" json:"nvme,omitempty" doc:"what is served over NVMe-oF (TCP, RDMA, FC) by the kernel, beside the engine"`
	Network      Network       `yaml:"network,omitempty" json:"network,omitempty" doc:"the appliance's name and interfaces; what is left out stays as the image has it"`
	Clock        Clock         `yaml:"clock,omitempty" json:"clock,omitempty" doc:"the machine's time; left as it is without this section"`
	Mail         Mail          `yaml:"mail,omitempty" json:"mail,omitempty" doc:"where the appliance sends its alerts; nowhere without this section"`
	Users        []Account     `yaml:"users,omitempty" json:"users,omitempty" doc:"people who log in to the machine, and their roles there; others than those that ESOS made are left alone"`
	Services     []Service     `yaml:"services,omitempty" json:"services,omitempty" doc:"services of the machine that are switched on or off; others stay as they are"`
	API          API           `yaml:"api,omitempty" json:"api,omitempty" doc:"how the REST API is reached besides the Unix socket"`
}

// Device is what a LUN can lead to.
type Device struct {
	Name    string  `yaml:"name" json:"name" doc:"unique name, 1 to 64 of letters, digits, . _ -"`
	Handler Handler `yaml:"handler" json:"handler" enum:"vdisk_fileio,vdisk_blockio,vdisk_nullio,vdisk_memory,vcdrom,dev_disk,dev_tape,dev_changer,dev_cdrom,dev_modisk,dev_processor,dev_raid" doc:"what serves it; those with dev_ pass commands on to a SCSI device of this machine"`
	// Path is the file, block device, ISO file or SCSI device; relative files
	// are below the data directory. Empty for vdisk_nullio and vdisk_memory,
	// and for an empty vcdrom drive.
	Path         string       `yaml:"path,omitempty" json:"path,omitempty" doc:"file, block device or ISO file; relative ones are below the data directory; devices/NAME.img when a vdisk_fileio has none; empty for an empty vcdrom drive; for pass-through the SCSI device, like /dev/tape/by-id/... or its HOST:CHANNEL:ID:LUN"`
	Size         Size         `yaml:"size,omitempty" json:"size,omitempty" doc:"bytes, or a number with a unit (10GiB, 500MB); not for block devices and ISO files"`
	Provisioning Provisioning `yaml:"provisioning,omitempty" json:"provisioning,omitempty" enum:"thin,thick" doc:"thin takes space as it is written (default), thick takes it at once"`
	BlockSize    int          `yaml:"block_size,omitempty" json:"block_size,omitempty" doc:"512 (default) or 4096; 2048 for vcdrom"`
	WriteThrough bool         `yaml:"write_through,omitempty" json:"write_through,omitempty" doc:"report and keep no write cache"`
	ODirect      bool         `yaml:"o_direct,omitempty" json:"o_direct,omitempty" doc:"bypass the page cache"`
	ReadOnly     bool         `yaml:"read_only,omitempty" json:"read_only,omitempty" doc:"refuse writes"`
	Removable    bool         `yaml:"removable,omitempty" json:"removable,omitempty" doc:"report a removable medium"`
	Rotational   bool         `yaml:"rotational,omitempty" json:"rotational,omitempty" doc:"report a rotating medium"`
	Identity     Identity     `yaml:"identity,omitempty" json:"identity,omitempty" doc:"what initiators know it by; empty fields are completed once and then stay"`
	// Attributes are settings that documents have no word for, by the names that
	// the engine's kernel has.
	Attributes map[string]string `yaml:"attributes,omitempty" json:"attributes,omitempty" doc:"the engine's own attributes, by the names that its kernel has; for engines lio and scst; what is left out is as the kernel has it"`
}

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
	Serial   string `yaml:"serial,omitempty" json:"serial,omitempty" doc:"unit serial number, 1 to 32 printable characters"`
	NAA      string `yaml:"naa,omitempty" json:"naa,omitempty" doc:"16 hex digits that start with 3, 5 or 2, or 32 that start with 6"`
	T10ID    string `yaml:"t10_id,omitempty" json:"t10_id,omitempty" doc:"vendor specific identifier of the T10 designator"`
	Vendor   string `yaml:"vendor,omitempty" json:"vendor,omitempty" doc:"T10 vendor identification, up to 8 characters"`
	Product  string `yaml:"product,omitempty" json:"product,omitempty" doc:"product identification, up to 16 characters"`
	Revision string `yaml:"revision,omitempty" json:"revision,omitempty" doc:"product revision, up to 4 characters"`
}

// ISCSI is what all iSCSI targets share.
type ISCSI struct {
	Portals   []Portal `yaml:"portals,omitempty" json:"portals,omitempty" doc:"addresses that initiators connect to"`
	Discovery Auth     `yaml:"discovery,omitempty" json:"discovery,omitempty" doc:"who may run discovery; everybody when empty"`
}

// Portal is an address that initiators connect to.
type Portal struct {
	Name     string `yaml:"name" json:"name" doc:"unique name"`
	Address  string `yaml:"address" json:"address" doc:"host:port or [v6]:port; an empty host is every address"`
	Group    int    `yaml:"group,omitempty" json:"group,omitempty" doc:"portal group tag, 1 to 65535; 1 by default"`
	Announce string `yaml:"announce,omitempty" json:"announce,omitempty" doc:"host:port told in discovery instead of the address (NAT)"`
	ISER     bool   `yaml:"iser,omitempty" json:"iser,omitempty" doc:"serve iSCSI over RDMA, too (iSER, RFC 7145); the address must be that of an RDMA device"`
}

// Target is a target with its access control. Portals, Auth, Parameters and
// Redirect are iSCSI's only.
type Target struct {
	Name     string `yaml:"name" json:"name" doc:"by driver: iscsi iqn., eui. or naa. name; ib_srpt the port's GID, fe80:0000:...; qla2x00t and fcst the port's WWPN, 50:01:...; scst_local naa. and 16 hex digits, or any name where the engine takes it"`
	Driver   Driver `yaml:"driver,omitempty" json:"driver,omitempty" enum:"iscsi,ib_srpt,qla2x00t,fcst,scst_local" doc:"transport: iSCSI (default), SRP, Fibre Channel, FCoE, or this machine itself"`
	Alias    string `yaml:"alias,omitempty" json:"alias,omitempty" doc:"text shown to initiators"`
	Disabled bool   `yaml:"disabled,omitempty" json:"disabled,omitempty" doc:"refuse logins"`
	// RelativeIDs are the relative target port identifiers by portal group
	// tag (SPC-5 4.2.2), unique in the array; missing ones are completed.
	RelativeIDs map[int]int       `yaml:"relative_ids,omitempty" json:"relative_ids,omitempty" doc:"relative target port identifiers by portal group tag (1 without portals), unique in the array; missing ones are completed"`
	Portals     []string          `yaml:"portals,omitempty" json:"portals,omitempty" doc:"names of portals it is reached by; all when empty; iSCSI only, like alias, auth, parameters and redirect"`
	Auth        Auth              `yaml:"auth,omitempty" json:"auth,omitempty" doc:"who may log in"`
	Parameters  Parameters        `yaml:"parameters,omitempty" json:"parameters,omitempty" doc:"operational keys"`
	Redirect    string            `yaml:"redirect,omitempty" json:"redirect,omitempty" doc:"host:port that logins are sent to (TargetMoved)"`
	Attributes  map[string]string `yaml:"attributes,omitempty" json:"attributes,omitempty" doc:"the engine's own attributes, by the names that its kernel has; for engines lio and scst; what is left out is as the kernel has it"`
	LUNs        []LUN             `yaml:"luns,omitempty" json:"luns,omitempty" doc:"LUN map of initiators that no group matches"`
	Groups      []Group           `yaml:"groups,omitempty" json:"groups,omitempty" doc:"host groups"`
}

// Group is a host group (ini_group): initiators that see the same LUNs.
type Group struct {
	Name       string            `yaml:"name" json:"name" doc:"unique name in its target"`
	Initiators []string          `yaml:"initiators,omitempty" json:"initiators,omitempty" doc:"initiator names of the target's driver (iSCSI name; SRP port id 0x...; WWPN), or patterns with * and ?, a leading ! excludes"`
	Attributes map[string]string `yaml:"attributes,omitempty" json:"attributes,omitempty" doc:"the engine's own attributes of the group, or of its initiators, by the names that its kernel has; for engines lio and scst; what is left out is as the kernel has it"`
	LUNs       []LUN             `yaml:"luns,omitempty" json:"luns,omitempty" doc:"LUN map of these initiators"`
}

// LUN maps a logical unit number to a device.
type LUN struct {
	LUN      int    `yaml:"lun" json:"lun" doc:"0 to 16383"`
	Device   string `yaml:"device" json:"device" doc:"name of a device"`
	ReadOnly bool   `yaml:"read_only,omitempty" json:"read_only,omitempty" doc:"refuse writes through this LUN"`
}

// Auth says who may log in. Without users everybody may whom a group names.
type Auth struct {
	Algorithms []string   `yaml:"algorithms,omitempty" json:"algorithms,omitempty" enum:"MD5,SHA1,SHA256,SHA3-256" doc:"allowed CHAP algorithms, all when empty; of these the initiator's first choice is taken (RFC 7143 6.2.1)"`
	Users      []CHAPUser `yaml:"users,omitempty" json:"users,omitempty" doc:"what initiators prove; no login without it when there are any"`
	Mutual     *CHAPUser  `yaml:"mutual,omitempty" json:"mutual,omitempty" doc:"what the target proves when asked"`
}

// CHAPUser is a CHAP name and secret.
type CHAPUser struct {
	Name       string   `yaml:"name" json:"name" doc:"CHAP name"`
	Secret     Secret   `yaml:"secret" json:"secret" doc:"12 to 255 bytes"`
	Initiators []string `yaml:"initiators,omitempty" json:"initiators,omitempty" doc:"only for these initiators; all when empty"`
}

// Parameters are the target's side of the operational keys of RFC 7143 13;
// zero means the default.
type Parameters struct {
	HeaderDigest             []string `yaml:"header_digest,omitempty" json:"header_digest,omitempty" enum:"None,CRC32C" doc:"allowed header digests; of these the initiator's first choice is taken"`
	DataDigest               []string `yaml:"data_digest,omitempty" json:"data_digest,omitempty" enum:"None,CRC32C" doc:"allowed data digests; of these the initiator's first choice is taken"`
	MaxRecvDataSegmentLength int      `yaml:"max_recv_data_segment_length,omitempty" json:"max_recv_data_segment_length,omitempty" doc:"bytes, 512 to 16777215"`
	MaxBurstLength           int      `yaml:"max_burst_length,omitempty" json:"max_burst_length,omitempty" doc:"bytes, 512 to 16777215"`
	FirstBurstLength         int      `yaml:"first_burst_length,omitempty" json:"first_burst_length,omitempty" doc:"bytes, 512 to 16777215"`
	MaxOutstandingR2T        int      `yaml:"max_outstanding_r2t,omitempty" json:"max_outstanding_r2t,omitempty" doc:"1 to 65535"`
	InitialR2T               *bool    `yaml:"initial_r2t,omitempty" json:"initial_r2t,omitempty" doc:"ask for every write"`
	ImmediateData            *bool    `yaml:"immediate_data,omitempty" json:"immediate_data,omitempty" doc:"accept data with the command"`
	QueuedCommands           int      `yaml:"queued_commands,omitempty" json:"queued_commands,omitempty" doc:"commands in flight a session (CmdSN window)"`
	NopInInterval            int      `yaml:"nop_in_interval,omitempty" json:"nop_in_interval,omitempty" doc:"seconds between pings of a quiet initiator; -1 never"`
	NopInTimeout             int      `yaml:"nop_in_timeout,omitempty" json:"nop_in_timeout,omitempty" doc:"seconds until a silent initiator is given up"`
	MaxSessions              int      `yaml:"max_sessions,omitempty" json:"max_sessions,omitempty" doc:"sessions at a time; 0 is no limit"`
}

// DeviceGroup ties devices to target groups: asymmetric access (ALUA).
type DeviceGroup struct {
	Name         string        `yaml:"name" json:"name" doc:"unique name"`
	Devices      []string      `yaml:"devices,omitempty" json:"devices,omitempty" doc:"names of devices; a device is in one group only"`
	TargetGroups []TargetGroup `yaml:"target_groups,omitempty" json:"target_groups,omitempty" doc:"target port groups that lead to them"`
}

// TargetGroup is a set of target ports that have one access state.
type TargetGroup struct {
	Name      string        `yaml:"name" json:"name" doc:"unique name in its device group"`
	ID        int           `yaml:"id" json:"id" doc:"target port group identifier, 1 to 65535, unique in its device group"`
	State     string        `yaml:"state,omitempty" json:"state,omitempty" enum:"active,nonoptimized,standby,unavailable,offline,transitioning" doc:"access state; active by default"`
	Preferred bool          `yaml:"preferred,omitempty" json:"preferred,omitempty" doc:"PREF bit"`
	Targets   []GroupTarget `yaml:"targets,omitempty" json:"targets,omitempty" doc:"target ports in this state"`
}

// GroupTarget is a target in a target group; one with a RelativeID is on the
// peer node.
type GroupTarget struct {
	Name       string `yaml:"name" json:"name" doc:"name of a target of this array, or any name with a relative_id"`
	RelativeID int    `yaml:"relative_id,omitempty" json:"relative_id,omitempty" doc:"set for a target port of the peer node"`
}

// API is how the REST API is reached besides the Unix socket.
type API struct {
	Listen string    `yaml:"listen,omitempty" json:"listen,omitempty" doc:"host:port; off when empty"`
	Cert   string    `yaml:"cert,omitempty" json:"cert,omitempty" doc:"PEM file; a self-signed pair is made when empty"`
	Key    string    `yaml:"key,omitempty" json:"key,omitempty" doc:"PEM file"`
	Users  []APIUser `yaml:"users,omitempty" json:"users,omitempty" doc:"who may use it over TCP"`
}

// APIUser may use the REST API.
type APIUser struct {
	Name string `yaml:"name" json:"name" doc:"unique name"`
	Role string `yaml:"role" json:"role" enum:"admin,operator,viewer" doc:"what the user may do"`
	// Password is an argon2id hash in PHC form; Tokens are SHA-256 of the tokens.
	Password Secret  `yaml:"password,omitempty" json:"password,omitempty" doc:"argon2id hash in PHC form"`
	Tokens   []Token `yaml:"tokens,omitempty" json:"tokens,omitempty" doc:"bearer tokens"`
}

// Token is a bearer token as it is kept: its name and its hash.
type Token struct {
	Name string `yaml:"name" json:"name" doc:"unique name of the user's tokens"`
	Hash Secret `yaml:"hash" json:"hash" doc:"SHA-256 of the token in hex"`
}
