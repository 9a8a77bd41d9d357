package daemon

import (
	"context"

	"github.com/esos-project/esos/internal/appliance"
	"github.com/esos-project/esos/internal/layer/raid"
	"github.com/esos-project/esos/internal/upkeep"
)

// arrayChecks reads RAID arrays whole from time to time, and compares what
// they hold twice.
type arrayChecks struct{ app *appliance.Appliance }

// Jobs implements upkeep.Source.
func (c arrayChecks) Jobs() []upkeep.Job {
	doc, _, err := c.app.Document(context.Background())
	if err != nil {
		return nil
	}
	var jobs []upkeep.Job
	for _, a := range doc.Storage.Arrays {
		if a.Level == "0" || a.Check == "never" {
			continue
		}
		jobs = append(jobs, upkeep.Job{
			Name: "check/" + raid.Object(a.Name), Heavy: true, Next: raid.Next(a.Check),
			Do: func(ctx context.Context) error { return c.app.ArrayChecks().Run(ctx, doc, a.Name) },
		})
	}
	return jobs
}
