package config

import "testing"

// TestMTU: what is left out follows what is on top of it.
func TestMTU(t *testing.T) {
	doc, _, err := Load("../../examples/network.yaml")
	if err != nil {
		t.Fatal(err)
	}
	n := doc.Network
	for name, want := range map[string]int{"bond0": 9000, "ens4": 9000, "ens5": 9000, "bond0.20": 0, "br0": 0, "ens3": 0, "none": 0} {
		if got := n.MTU(name); got != want {
			t.Errorf("%s has %d, want %d", name, got, want)
		}
	}
	n.Find("bond0").MTU, n.Find("br0").MTU = 0, 4000
	for name, want := range map[string]int{"br0": 4000, "bond0.20": 4000, "bond0": 4000, "ens4": 4000} {
		if got := n.MTU(name); got != want {
			t.Errorf("under a bridge of 4000, %s has %d, want %d", name, got, want)
		}
	}
	n.Find("br0").MTU = 1400
	if got := n.MTU("ens4"); got != 1400 {
		t.Errorf("a bond's port has %d, the bond 1400", got)
	}
}

// TestRemoveInterface: nothing is left to stand on what is gone.
func TestRemoveInterface(t *testing.T) {
	doc, _, err := Load("../../examples/network.yaml")
	if err != nil {
		t.Fatal(err)
	}
	n := doc.Clone().Network
	if err := n.Remove("ens4", []string{"ens4"}); err == nil {
		t.Error("a bond's port was removed")
	}
	if err := n.Remove("bond0", []string{"bond0"}); err == nil {
		t.Error("a VLAN's parent was removed")
	}
	all := []string{"br0", "bond0.20", "bond0", "ens4"}
	for _, name := range all {
		if err := n.Remove(name, all); err != nil {
			t.Error(err)
		}
	}
	doc.Network = n
	if err := doc.Validate().Err(); err != nil {
		t.Error(err)
	}
}
