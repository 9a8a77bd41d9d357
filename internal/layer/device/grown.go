package device

import (
	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/layer"
	"github.com/esos-project/esos/internal/plan"
)

// storeField is what is told to have changed of a device whose store grew.
const storeField = "store"

// Follows says whether a step only takes up that a store grew, which nobody did
// to what is served.
func Follows(s *plan.Step) bool {
	return s.Layer == Layer{}.Name() && len(s.Changes) == 1 && s.Changes[0].Field == storeField
}

// grown is how large a block device has become, or becomes by a step of the
// plan, that is served with less; 0 if it is served whole. The engine looks
// again when it is given the device once more (LIO does so by itself, and says
// that it serves all of it).
func grown(have, want *config.Device, seen *layer.Observed, b *plan.Builder) config.Size {
	if want.Handler != config.BlockIO || have.Handler != config.BlockIO || have.Size == 0 {
		return 0
	}
	store := seen.Stores[want.Path]
	if !store.Exists || !store.Block {
		return 0
	}
	size := store.Size
	if coming, ok := b.Coming(want.Path); ok {
		size = max(size, coming.Size)
	}
	size -= size % int64(want.WithDefaults().BlockSize)
	if size <= int64(have.Size) {
		return 0
	}
	return config.Size(size)
}
