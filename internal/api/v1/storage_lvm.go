package v1

import "github.com/esos-project/esos/internal/host/lvm"

// VolumeGroupState is an LVM volume group as it is now.
type VolumeGroupState struct {
	Name     string         `json:"name"`
	UUID     string         `json:"uuid"`
	Declared bool           `json:"declared" doc:"The document declares it, and this is the one."`
	Size     int64          `json:"size" doc:"Bytes that volumes can have."`
	Free     int64          `json:"free" doc:"Bytes that no volume has."`
	Extent   int64          `json:"extent_size" doc:"What its space is handed out in."`
	Missing  int            `json:"missing,omitempty" doc:"How many of its devices are not there."`
	Devices  []VolumeDevice `json:"devices"`
	Volumes  []VolumeState  `json:"volumes" doc:"Those that people know, without hidden parts of others."`
}

// VolumeDevice is a physical volume of a group.
type VolumeDevice struct {
	lvm.Device
	As string `json:"declared_as,omitempty" doc:"Its path in the document, if that has it."`
}

// VolumeState is a volume as it is now. What LVM knows of a VDO's pool is told
// of the VDO.
type VolumeState struct {
	lvm.Volume
	Declared bool  `json:"declared" doc:"The document declares it."`
	Snapshot bool  `json:"snapshot,omitempty" doc:"It is a snapshot of a device, which /snapshots tells of."`
	Physical int64 `json:"physical,omitempty" doc:"Of a VDO: the space that it takes of the group."`
}
