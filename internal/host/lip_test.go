package host

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func TestIssueLIP(t *testing.T) {
	root := t.TempDir()
	a := Adapters{Sys: root}
	if none, err := a.FCPorts(); err != nil || len(none) != 0 {
		t.Errorf("of none: %v %v", none, err)
	}
	sysFile(t, root, "class/fc_host/host9/port_name", "0x500143802426bbb6")
	sysFile(t, root, "class/fc_host/host8/port_name", "0x500143802426bbb4")
	sysFile(t, root, "class/fc_host/host8/issue_lip", "")
	ports, err := a.FCPorts()
	if want := []FCPort{{"host8", "0x500143802426bbb4"}, {"host9", "0x500143802426bbb6"}}; err != nil || !slices.Equal(ports, want) {
		t.Fatalf("ports: %v %v", ports, err)
	}
	if err := a.IssueLIP(ports[0]); err != nil {
		t.Error(err)
	}
	if got, err := os.ReadFile(filepath.Join(root, "class/fc_host/host8/issue_lip")); err != nil || string(got)[0] != '1' {
		t.Errorf("the kernel got %q %v", got, err)
	}
	if err := a.IssueLIP(ports[1]); err == nil {
		t.Error("a port that can no LIP did one")
	}
}
