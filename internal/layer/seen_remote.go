package layer

import (
	"github.com/esos-project/esos/internal/host/nvmehost"
	"github.com/esos-project/esos/internal/host/openiscsi"
)

// Remote are the remote disks that this machine is logged in to, whoever did
// that.
type Remote struct {
	ISCSI []openiscsi.Session
	NVMe  []nvmehost.Controller
	// Records are open-iscsi's, by their files: of what is declared, and of the
	// sessions that there are. They hold secrets.
	Records   map[string]string
	Initiator string // this machine's name as an iSCSI initiator; "" if there is none yet
	Host      string // and as an NVMe host
	Err       error  // why they could not be looked at
}
