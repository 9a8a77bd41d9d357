package attach

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// booted is what of the boot's report matters here.
type booted struct{ partitions map[string]partition }

type partition struct {
	Device string `json:"device"`
	UUID   string `json:"uuid"`
}

// readReport reads the report that the first process of the boot left
// (boot.Report; a test holds the two together). Importing that package would
// put the whole boot into whoever attaches something.
func readReport(path string) (booted, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return booted{}, ErrNoMedium
	}
	if err != nil {
		return booted{}, fmt.Errorf("read how this machine was booted: %w", err)
	}
	var r struct {
		Mode   string `json:"mode"`
		Medium struct {
			Partitions map[string]partition `json:"partitions"`
		} `json:"medium"`
	}
	if err := json.Unmarshal(text, &r); err != nil {
		return booted{}, fmt.Errorf("read how this machine was booted from %s: %w", path, err)
	}
	if r.Mode == "live" || r.Mode == "install" {
		return booted{}, fmt.Errorf("%w: it runs from an ISO", ErrNoMedium)
	}
	return booted{r.Medium.Partitions}, nil
}
