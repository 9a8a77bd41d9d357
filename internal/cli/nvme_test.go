package cli_test

import (
	"strconv"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/esos-project/esos/internal/host/kernfs/nvmetfake"
)

// nvmeKernel is the key of a script's imitated NVMe target.
type nvmeKernel struct{}

// nvmeConnect is a host that connects, as nvme connect does; with ! it may
// not: nvme PORT SUBSYSTEM HOST.
func nvmeConnect(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 3 {
		ts.Fatalf("usage: nvme port subsystem host")
	}
	port, err := strconv.Atoi(args[0])
	ts.Check(err)
	if _, err := ts.Value(nvmeKernel{}).(*nvmetfake.Tree).Connect(port, args[1], args[2]); (err != nil) != neg {
		ts.Fatalf("connect: %v, want failure: %v", err, neg)
	}
}
