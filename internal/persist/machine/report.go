package machine

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// booted is what of the boot's report matters here.
type booted struct {
	Slot    string // that was booted
	Version string // of its image
	Conf    string // device of the partition that settings are saved to
	UUID    string // of its file system
}

// ErrLive says that nothing can be saved since there is no medium to save to.
var ErrLive = errors.New("this machine was booted from an ISO to look around or to install: nothing of it is kept, since there is no medium to keep it on")

// readReport reads the report that the first process of the boot left
// (boot.Report; a test holds the two together). Importing that package would
// put the whole boot into the daemon.
func readReport(path string) (booted, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return booted{}, ErrNoAppliance
	}
	if err != nil {
		return booted{}, fmt.Errorf("read how this machine was booted: %w", err)
	}
	var r struct {
		Mode    string `json:"mode"`
		Slot    string `json:"slot"`
		Version string `json:"version"`
		Medium  struct {
			Device     string `json:"device"`
			Partitions map[string]struct {
				Device string `json:"device"`
				UUID   string `json:"uuid"`
			} `json:"partitions"`
		} `json:"medium"`
	}
	if err := json.Unmarshal(text, &r); err != nil {
		return booted{}, fmt.Errorf("read how this machine was booted from %s: %w", path, err)
	}
	if r.Mode == "live" || r.Mode == "install" {
		return booted{}, ErrLive
	}
	conf := r.Medium.Partitions[Label]
	return booted{Slot: r.Slot, Version: r.Version, Conf: conf.Device, UUID: conf.UUID}, nil
}
