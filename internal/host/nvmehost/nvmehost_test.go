package nvmehost

import (
	"net/netip"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// tree is the kernel's files, by their paths without the leading /.
type tree fstest.MapFS

func (t tree) ReadFile(path string) ([]byte, error) {
	return fstest.MapFS(t).ReadFile(strings.TrimPrefix(path, "/"))
}

func (t tree) ReadDir(path string) ([]string, error) {
	list, err := fstest.MapFS(t).ReadDir(strings.TrimPrefix(path, "/"))
	var names []string
	for _, e := range list {
		names = append(names, e.Name())
	}
	return names, err
}

func files(text map[string]string) tree {
	t := tree{}
	for path, s := range text {
		t[strings.TrimPrefix(path, "/")] = &fstest.MapFile{Data: []byte(s)}
	}
	return t
}

func TestControllers(t *testing.T) {
	const class, sub = "/sys/class/nvme/", "/sys/class/nvme-subsystem/"
	m := files(map[string]string{
		class + "nvme0/subsysnqn": "nqn.2014.08.org.nvmexpress:80861234\n", class + "nvme0/transport": "pcie\n", class + "nvme0/state": "live\n", class + "nvme0/address": "0000:01:00.0\n",
		class + "nvme1/subsysnqn": "nqn.2026-11.com.example:flash\n", class + "nvme1/transport": "tcp\n", class + "nvme1/state": "live\n",
		class + "nvme1/address": "traddr=10.0.0.6,trsvcid=4420,src_addr=10.0.0.1\n", class + "nvme1/nvme1c1n1/size": "1\n",
		class + "nvme2/subsysnqn": "nqn.2026-11.com.example:flash\n", class + "nvme2/transport": "tcp\n", class + "nvme2/state": "connecting\n",
		class + "nvme2/address":   "traddr=fd00::6,trsvcid=4420\n",
		class + "nvme3/subsysnqn": "nqn.2026-11.com.example:single\n", class + "nvme3/transport": "rdma\n", class + "nvme3/state": "live\n",
		class + "nvme3/address": "traddr=10.0.2.6,trsvcid=4420\n", class + "nvme3/nvme3n2/size": "1\n", class + "nvme3/nvme3n1/size": "1\n", class + "nvme3/nvme3n1p1/size": "1\n",
		class + "nvme4/state":     "deleting\n", // it is going
		class + "nvme5/subsysnqn": "nqn.2026-11.com.example:fc\n", class + "nvme5/transport": "fc\n", class + "nvme5/state": "live\n", class + "nvme5/address": "traddr=nn-0x1:pn-0x2\n",
		sub + "nvme-subsys0/subsysnqn": "nqn.2014.08.org.nvmexpress:80861234\n", sub + "nvme-subsys0/nvme0n1/size": "1\n",
		sub + "nvme-subsys1/subsysnqn": "nqn.2026-11.com.example:flash\n", sub + "nvme-subsys1/nvme1n1/size": "1\n", sub + "nvme-subsys1/nvme1/state": "live\n",
	})
	got, err := Controllers(m)
	if err != nil {
		t.Fatal(err)
	}
	want := []Controller{
		{Name: "nvme1", Subsystem: "nqn.2026-11.com.example:flash", Transport: "tcp", Address: netip.MustParseAddrPort("10.0.0.6:4420"), State: "live", Disks: []string{"nvme1n1"}},
		{Name: "nvme2", Subsystem: "nqn.2026-11.com.example:flash", Transport: "tcp", Address: netip.MustParseAddrPort("[fd00::6]:4420"), State: "connecting", Disks: []string{"nvme1n1"}},
		{Name: "nvme3", Subsystem: "nqn.2026-11.com.example:single", Transport: "rdma", Address: netip.MustParseAddrPort("10.0.2.6:4420"), State: "live", Disks: []string{"nvme3n1", "nvme3n2"}},
		{Name: "nvme5", Subsystem: "nqn.2026-11.com.example:fc", Transport: "fc", State: "live"},
	}
	if d := cmp.Diff(want, got, cmpopts.EquateComparable(netip.AddrPort{}), cmpopts.EquateEmpty()); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	if got, err := Controllers(files(nil)); err != nil || got != nil {
		t.Errorf("without the module: %v, %v", got, err)
	}
	m["sys/class/nvme/nvme1/address"] = &fstest.MapFile{Data: []byte("traddr=nonsense\n")}
	if _, err := Controllers(m); err == nil || !strings.Contains(err.Error(), "nvme1") {
		t.Errorf("an address that is none: %v", err)
	}
}

// TestHostName: a machine without both names connects to nothing, since
// nvme-cli would make up others at each boot.
func TestHostName(t *testing.T) {
	both := map[string]string{NameFile: "nqn.2014-08.org.nvmexpress:uuid:1\n", IDFile: "1\n"}
	if got, err := HostName(files(both)); err != nil || got != "nqn.2014-08.org.nvmexpress:uuid:1" {
		t.Errorf("%q, %v", got, err)
	}
	for _, missing := range []map[string]string{{NameFile: "nqn\n"}, {IDFile: "1\n"}, {NameFile: "nqn\n", IDFile: "\n"}, {NameFile: "\n", IDFile: "1\n"}} {
		if got, err := HostName(files(missing)); err == nil {
			t.Errorf("%v: %q", missing, got)
		}
	}
}

func FuzzParseAddress(f *testing.F) {
	f.Add("traddr=10.0.0.6,trsvcid=4420,src_addr=10.0.0.1\n")
	f.Add("traddr=fd00::6,trsvcid=99999")
	f.Fuzz(func(t *testing.T, text string) {
		a, err := parseAddress(text)
		if (err == nil) != a.IsValid() {
			t.Errorf("%q: %v, %v", text, a, err)
		}
	})
}
