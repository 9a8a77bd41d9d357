package filesystem

import (
	"context"
	"fmt"
	"time"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/host/filesystem"
	"github.com/esos-project/esos/internal/upkeep"
)

// Trims are the jobs that tell the disks what of the declared file systems is
// unused: weekly, if nothing else is declared.
func Trims(m filesystem.Machine, doc *config.Document) []upkeep.Job {
	var jobs []upkeep.Job
	for _, f := range doc.Storage.FileSystems {
		next := upkeep.Weekly(time.Sunday, 3, 30)
		switch f.Trim {
		case "never":
			continue
		case "daily":
			next = upkeep.Daily(3, 30)
		}
		jobs = append(jobs, upkeep.Job{
			Name: "trim/" + object(f.Name), Kind: "trim", Heavy: true, Next: next, Retry: 6 * time.Hour,
			Do: func(ctx context.Context) error { return trim(ctx, m, f.Path()) },
		})
	}
	return jobs
}

// trim trims what is mounted; a mount point where nothing is would be trimmed
// for the system's own file system.
func trim(ctx context.Context, m filesystem.Machine, where string) error {
	mounts, err := filesystem.Mounts(ctx, m)
	if err != nil {
		return err
	}
	if _, mounted := filesystem.At(mounts, where); !mounted {
		return fmt.Errorf("trim the file system at %s: it is not mounted", where)
	}
	_, err = filesystem.Trim(ctx, m, where)
	return err
}
