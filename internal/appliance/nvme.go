package appliance

import (
	"context"

	"github.com/esos-project/esos/internal/nvmet"
)

// NVMeControllers lists the NVMe hosts that are connected; known is false
// where the kernel does not tell.
func (a *Appliance) NVMeControllers(ctx context.Context) (all []nvmet.Controller, known bool, err error) {
	if a.nvme == nil {
		return nil, true, nil
	}
	s, err := a.nvme.Observe(ctx)
	return s.Controllers, s.Tells, err
}
