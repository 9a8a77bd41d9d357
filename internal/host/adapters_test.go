package host

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
)

func sysFile(t *testing.T, root, path, text string) {
	t.Helper()
	full := filepath.Join(root, path)
	if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(full, []byte(text+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestAdapters(t *testing.T) {
	root := t.TempDir()
	a := Adapters{Sys: root}
	if none, err := a.FibreChannel(); err != nil || len(none) != 0 {
		t.Errorf("of none: %v %v", none, err)
	}
	sysFile(t, root, "class/fc_host/host9/port_name", "0x500143802426bbb6")
	sysFile(t, root, "class/fc_host/host8/port_name", "0x500143802426bbb4")
	sysFile(t, root, "class/infiniband/mlx4_0/ports/1/gids/0", "fe80:0000:0000:0000:0002:c903:0005:f34b")
	sysFile(t, root, "class/infiniband/mlx4_0/ports/1/gids/1", "0000:0000:0000:0000:0000:0000:0000:0000")
	if got, err := a.FibreChannel(); err != nil || !slices.Equal(got, []string{"0x500143802426bbb4", "0x500143802426bbb6"}) {
		t.Errorf("Fibre Channel: %v %v", got, err)
	}
	if got, err := a.InfiniBand(); err != nil || !slices.Equal(got, []string{"fe80:0000:0000:0000:0002:c903:0005:f34b"}) {
		t.Errorf("InfiniBand: %v %v", got, err)
	}
	for i, layer := range []string{"InfiniBand", "Ethernet"} {
		sysFile(t, root, "class/infiniband/mlx4_0/ports/"+strconv.Itoa(i+1)+"/link_layer", layer)
		if got, err := a.RoCE(); err != nil || got != (layer == "Ethernet") {
			t.Errorf("RoCE with a port of %s: %t %v", layer, got, err)
		}
	}
}
