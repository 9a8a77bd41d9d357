package networking_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/esos-project/esos/internal/host/networking"
)

// TestFiles: what is written is readable by daemons that are not root, in a
// directory that may be missing, and is found by its path on the machine.
func TestFiles(t *testing.T) {
	root := t.TempDir()
	m := networking.Machine{Root: root}
	const ours, other = "/etc/systemd/network/20-esos-eth0.network", "/etc/systemd/network/10-other.network"
	if err := os.MkdirAll(filepath.Join(root, "etc"), 0o755); err != nil {
		t.Fatal(err)
	}
	for path, text := range map[string]string{ours: "a", other: "b", "/etc/hostname": "esos\n"} {
		if err := m.WriteFile(path, text); err != nil {
			t.Fatal(err)
		}
	}
	for _, path := range []string{"etc/systemd", "etc/systemd/network"} {
		if st, err := os.Stat(filepath.Join(root, path)); err != nil || st.Mode().Perm()&0o055 != 0o055 {
			t.Errorf("%s: %v %v", path, st.Mode(), err)
		}
	}
	if st, err := os.Stat(filepath.Join(root, ours)); err != nil || st.Mode().Perm() != 0o644 {
		t.Errorf("%s: %v %v", ours, st.Mode(), err)
	}
	files, err := m.Files("/etc/systemd/network/20-esos-*", "/etc/hostname", "/etc/missing")
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(map[string]string{ours: "a", "/etc/hostname": "esos\n"}, files); d != "" {
		t.Error(d)
	}
	for range 2 {
		if err := m.RemoveFile(ours); err != nil {
			t.Error(err)
		}
	}
	if err := m.RemoveFile("/no/such/directory/file"); err != nil {
		t.Error(err)
	}
	if files, err = m.Files("/etc/systemd/network/20-esos-*"); err != nil || len(files) > 0 {
		t.Errorf("after removing: %v %v", files, err)
	}
}

// TestLinks: the kernel answers, and the loopback is not among what it has.
func TestLinks(t *testing.T) {
	links, err := networking.Machine{}.Links()
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range links {
		if l.Name == "" || l.Name == "lo" || l.MTU == 0 {
			t.Errorf("%+v", l)
		}
		for _, a := range l.Addresses {
			if !a.IsValid() || a.Addr().IsLinkLocalUnicast() || a.Addr().Is4In6() {
				t.Errorf("%s has %v", l.Name, a)
			}
		}
	}
	if err := (networking.Machine{}).DeleteLink("no-such-link"); err != nil {
		t.Errorf("delete what is not there: %v", err)
	}
	if err := (networking.Machine{}).DeleteLink("lo"); err == nil {
		t.Error("the loopback is no bond, VLAN or bridge")
	}
}
