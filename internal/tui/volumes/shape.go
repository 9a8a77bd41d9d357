package volumes

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/tui/pick"
)

// shape is how a volume lies in its group: what of the group's room its size
// takes.
type shape struct {
	kind             config.VolumeType
	stripes, mirrors int // 0: the least
	metadata, extent int64
	free             int64 // of the group, -1 if that is not known
}

// stripesOf are the least and the most stripes on a number of devices.
func (s shape) stripesOf(devices int) (least, most int) {
	switch s.kind {
	case config.RAID5:
		return 2, devices - 1
	case config.RAID6:
		return 3, devices - 2
	case config.RAID10:
		return 2, devices / (max(1, s.mirrors) + 1)
	}
	return 2, devices
}

// most is the largest size that fits, -1 if that is not known. LVM finds out
// whether it can be spread as it must be.
func (s shape) most() int64 {
	if s.free < 0 {
		return -1
	}
	n := s.free / s.extent // extents
	least, _ := s.stripesOf(0)
	stripes := int64(max(least, s.stripes))
	copies := int64(max(1, s.mirrors) + 1)
	legs := func(legs, data int64) int64 { // each has an extent of metadata
		return max(0, n/legs-1) * data
	}
	switch s.kind {
	case config.Striped:
		n = n / stripes * stripes
	case config.RAID1:
		n = legs(copies, 1)
	case config.RAID5:
		n = legs(stripes+1, stripes)
	case config.RAID6:
		n = legs(stripes+2, stripes)
	case config.RAID10:
		n = legs(stripes*copies, stripes)
	case config.ThinPool: // metadata, and as much for a repair
		meta := s.metadata
		if meta == 0 { // LVM takes no more than that by itself
			meta = min(max(s.free/1024, 2<<20), 128<<20)
		}
		n = max(0, n-2*((meta+s.extent-1)/s.extent))
	}
	return n * s.extent
}

// size reads a size in any unit, or what part of the room that is left it is to
// take, in percent.
func (s shape) size(text string) (config.Size, error) {
	most := s.most()
	if part, ok := strings.CutSuffix(strings.TrimSpace(text), "%"); ok {
		p, err := strconv.ParseFloat(strings.TrimSpace(part), 64)
		switch {
		case err != nil || !(p > 0 && p <= 100):
			return 0, fmt.Errorf("more than 0 and up to 100 percent")
		case most < 0:
			return 0, fmt.Errorf("a size such as 10GiB: there is nothing here that a percentage could be of")
		}
		v := int64(float64(most)*p/100) / s.extent * s.extent
		if v == 0 {
			return 0, fmt.Errorf("that is nothing: %s fit", pick.Size(most))
		}
		return config.Size(v), nil
	}
	v, err := config.ParseSize(text)
	switch {
	case err != nil:
		return 0, fmt.Errorf("a size such as 10GiB, 1.5TB or 512MiB")
	case v <= 0:
		return 0, fmt.Errorf("more than nothing")
	case most >= 0 && int64(v) > most:
		return 0, fmt.Errorf("%s of this type fit into the group; add a device to it for more", pick.Size(most))
	}
	return v, nil
}
