package v1

// RemoteState is disks of other arrays, as this machine is logged in to them.
type RemoteState struct {
	Initiator string        `json:"initiator,omitempty" doc:"The name of this machine as an iSCSI initiator: the other array shows its disks to it."`
	Host      string        `json:"host,omitempty" doc:"The name (NQN) of this machine as an NVMe host."`
	Logins    []RemoteLogin `json:"logins" doc:"What is declared, and what somebody else logged in to."`
	Error     string        `json:"error,omitempty" doc:"Why it could not be looked at."`
}

// RemoteLogin is a path to disks of another array.
type RemoteLogin struct {
	Name      string   `json:"name,omitempty" doc:"Its name in the document; none if somebody else logged in."`
	Transport string   `json:"transport" doc:"iscsi; or tcp, rdma and others of NVMe."`
	Target    string   `json:"target" doc:"The iSCSI target, or the NVMe subsystem."`
	Address   string   `json:"address,omitempty" doc:"Where it listens: ADDRESS:PORT."`
	State     string   `json:"state" enum:"up,lost,down" doc:"up; lost: it is tried again and again; down: there is no login."`
	Disks     []string `json:"disks" doc:"Its disks, by the kernel's names."`
}

// MultipathState is disks that are reached by several paths.
type MultipathState struct {
	Running bool           `json:"running" doc:"multipathd runs."`
	Maps    []GatheredDisk `json:"maps" doc:"The disks whose paths are gathered."`
	Others  []SeveralPaths `json:"others" doc:"Disks that are reached by several paths, which nobody gathers."`
	Error   string         `json:"error,omitempty" doc:"Why it could not be looked at."`
}

// SeveralPaths is a disk that is reached by several paths, each of which is a
// disk of its own to Linux.
type SeveralPaths struct {
	WWID  string   `json:"wwid"`
	Size  int64    `json:"size"`
	Disks []string `json:"disks" doc:"By the kernel's names."`
}

// GatheredDisk is a disk whose paths are gathered.
type GatheredDisk struct {
	Name  string     `json:"name" doc:"Its path is /dev/mapper/NAME."`
	WWID  string     `json:"wwid"`
	DM    string     `json:"dm" doc:"The kernel's name."`
	Paths []DiskPath `json:"paths"`
}

// DiskPath is one way to a disk.
type DiskPath struct {
	Disk    string `json:"disk" doc:"The kernel's name."`
	State   string `json:"state" doc:"multipathd's word: ready, ghost (it stands by), faulty, shaky and others."`
	Works   bool   `json:"works" doc:"I/O can go this way."`
	Through string `json:"through,omitempty" doc:"The target or the port of the array that it leads through."`
}
