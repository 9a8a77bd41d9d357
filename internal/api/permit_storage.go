package api

import (
	"fmt"
	"net/http"

	v1 "github.com/esos-project/esos/internal/api/v1"
	"github.com/esos-project/esos/internal/config"
)

// permitStorage lets only admins change what devices stand on: whoever may name
// disks, and options of mounts, can reach whatever the machine can.
func permitStorage(p principal, old, doc *config.Document) error {
	part := func(d *config.Document) config.Document { return config.Document{Storage: d.Storage} }
	if p.role >= Admin || len(config.Fields(part(old), part(doc))) == 0 {
		return nil
	}
	return problem(http.StatusForbidden, v1.ProblemDenied, fmt.Sprintf("%s is %s here; the storage that devices stand on only an admin changes", p.name, p.role))
}
