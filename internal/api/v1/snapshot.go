package v1

import "time"

// SnapshotList are the snapshots of devices.
type SnapshotList struct {
	Snapshots []Snapshot `json:"snapshots"`
	Problems  []string   `json:"problems,omitempty" doc:"Why some may be missing here: what could not be looked at."`
}

// Snapshot is a snapshot of one device.
type Snapshot struct {
	Device   string    `json:"device" doc:"That it was taken of."`
	Name     string    `json:"name" doc:"NAME-YYYYMMDD-HHMMSS in UTC; the same for all that are of one moment."`
	Schedule string    `json:"schedule,omitempty" doc:"That it was taken for."`
	Taken    time.Time `json:"taken"`
	Size     int64     `json:"size" doc:"Bytes that whoever uses it sees."`
	Path     string    `json:"path" doc:"Of its block device or file."`
	Group    string    `json:"group,omitempty" doc:"Of a volume's: its volume group."`
	Volume   string    `json:"volume,omitempty" doc:"Of a volume's: its name in the group."`
	Pool     string    `json:"pool,omitempty" doc:"Of a volume's: the thin pool that it lies in."`
	UsedBy   []string  `json:"used_by,omitempty" doc:"What uses it, and keeps it from being deleted."`
}

// SnapshotRequest asks for snapshots of devices, all of one moment.
type SnapshotRequest struct {
	Devices []string `json:"devices" minItems:"1" maxItems:"100" doc:"Names of the devices: any number on thin volumes, or one with an image file."`
	Name    string   `json:"name" minLength:"1" maxLength:"32" doc:"What the snapshots' name begins with; the time follows."`
}
