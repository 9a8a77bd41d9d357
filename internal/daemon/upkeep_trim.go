package daemon

import (
	"context"

	"github.com/esos-project/esos/internal/appliance"
	"github.com/esos-project/esos/internal/host"
	"github.com/esos-project/esos/internal/layer/filesystem"
	"github.com/esos-project/esos/internal/upkeep"
)

// fileSystemTrims tells disks from time to time what of file systems is unused.
type fileSystemTrims struct{ app *appliance.Appliance }

// Jobs implements upkeep.Source.
func (t fileSystemTrims) Jobs() []upkeep.Job {
	doc, _, err := t.app.Document(context.Background())
	if err != nil {
		return nil
	}
	return filesystem.Trims(host.Linux{}, doc)
}
