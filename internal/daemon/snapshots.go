package daemon

import (
	"github.com/esos-project/esos/internal/appliance"
	"github.com/esos-project/esos/internal/upkeep"
)

// scheduledSnapshots are those that the document in force has taken by themselves.
type scheduledSnapshots struct{ app *appliance.Appliance }

// Jobs implements upkeep.Source.
func (s scheduledSnapshots) Jobs() []upkeep.Job { return s.app.SnapshotJobs() }
