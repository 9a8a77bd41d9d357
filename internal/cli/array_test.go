package cli_test

import (
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/esos-project/esos/internal/host/storagefake"
)

type disksKey struct{}

// disksDo plays what happens to the disks of a script's array: sync (what
// arrays do by themselves is done), fault DISK, pull DISK.
func disksDo(ts *testscript.TestScript, neg bool, args []string) {
	m, ok := ts.Value(disksKey{}).(*storagefake.Machine)
	if neg || !ok || len(args) == 0 {
		ts.Fatalf("usage: disks sync|fault DISK|pull DISK, in a script that has disks")
	}
	switch {
	case args[0] == "sync":
		m.Sync()
	case args[0] == "fault" && len(args) == 2:
		m.Fault(args[1])
	case args[0] == "pull" && len(args) == 2:
		m.Pull(args[1])
	default:
		ts.Fatalf("disks: unknown: %v", args)
	}
}
