package appliance

import (
	"github.com/esos-project/esos/internal/host"
	"github.com/esos-project/esos/internal/layer"
	disklayer "github.com/esos-project/esos/internal/layer/disk"
)

// StorageMachine is the machine to the storage stack: host.Linux.
type StorageMachine interface {
	disklayer.Machine
}

// storageLayers stand below the devices, from bare disks up.
func storageLayers(o Options) []layer.Layer {
	m := o.Storage
	if m == nil {
		m = host.Linux{}
	}
	if !o.OwnsMachine {
		return []layer.Layer{layer.IfOwner(false, disklayer.Layer{Machine: m}, disklayer.Declares)}
	}
	return []layer.Layer{
		disklayer.Layer{Machine: m},
	}
}
