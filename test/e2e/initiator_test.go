package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/esos-project/esos/test/array"
	"github.com/esos-project/esos/test/guest"
	"github.com/esos-project/esos/test/level"
)

const (
	serverTarget = "iqn.2026-11.org.esos-project.test:server"
	serverName   = "iqn.2026-11.org.esos-project.test:linux"
)

// disks are the LUNs of the server's target, in order. The NAA identifiers are
// declared so that multipath can give the maps names.
var disks = []struct{ name, naa, size string }{
	{"ext4", "6e50500000000000000000000000e401", "256MiB"},
	{"xfs", "6e50500000000000000000000000e402", "512MiB"},
	{"load", "6e50500000000000000000000000e403", "256MiB"},
	{"scratch", "6e50500000000000000000000000e404", "64MiB"},
	{"copy", "6e50500000000000000000000000e405", "64MiB"},
}

// serverDocument is the array of these tests: two portals in two portal
// groups, mutual CHAP also for discovery, digests demanded, ALUA.
func serverDocument(portals []string, state string) string {
	var b strings.Builder
	b.WriteString("version: 1\nname: e2e\niscsi:\n  portals:\n")
	for i, p := range portals {
		if p == "" {
			continue
		}
		// The guest reaches this host's loopback as 10.0.2.2.
		port := p[strings.LastIndexByte(p, ':')+1:]
		fmt.Fprintf(&b, "  - name: p%d\n    address: %s\n    group: %d\n    announce: 10.0.2.2:%s\n", i, p, i+1, port)
	}
	chap := func(indent string) string {
		return indent + "users:\n" + indent + "- name: linux\n" + indent + "  secret: a-secret-of-linux\n" +
			indent + "mutual:\n" + indent + "  name: array\n" + indent + "  secret: a-secret-of-array\n"
	}
	b.WriteString("  discovery:\n" + chap("    "))
	b.WriteString("devices:\n")
	for _, d := range disks {
		fmt.Fprintf(&b, "- name: %s\n  handler: vdisk_fileio\n  path: %s.img\n  size: %s\n  identity:\n    naa: %s\n", d.name, d.name, d.size, d.naa)
	}
	fmt.Fprintf(&b, "targets:\n- name: %s\n  auth:\n%s  parameters:\n    header_digest: [CRC32C]\n    data_digest: [CRC32C]\n", serverTarget, chap("    "))
	fmt.Fprintf(&b, "  groups:\n  - name: servers\n    initiators: ['%s']\n    luns:\n", serverName)
	for i, d := range disks {
		fmt.Fprintf(&b, "    - lun: %d\n      device: %s\n", i, d.name)
	}
	b.WriteString("device_groups:\n- name: all\n  devices:\n")
	for _, d := range disks {
		fmt.Fprintf(&b, "  - %s\n", d.name)
	}
	fmt.Fprintf(&b, "  target_groups:\n  - name: local\n    id: 10\n    state: %s\n    targets:\n    - name: %s\n", state, serverTarget)
	return b.String()
}

// server is the array's customer.
type server struct {
	*guest.Server
	portals []string // as the guest sees them
}

// eventually runs a script until it succeeds.
func (s *server) eventually(t *testing.T, what string, timeout time.Duration, script string) {
	t.Helper()
	s.Eventually(t, what, timeout, script, "multipathd show paths")
}

func startServer(t *testing.T, portals []string) *server {
	t.Helper()
	s := &server{Server: guest.Start(t)}
	for _, p := range portals {
		s.portals = append(s.portals, "10.0.2.2"+p[strings.LastIndexByte(p, ':'):])
	}
	return s
}

// configure sets the initiator and multipath up as an administrator would.
func (s *server) configure(t *testing.T) {
	t.Helper()
	var b strings.Builder
	b.WriteString(`set -e
for m in iscsi_tcp dm_multipath dm_service_time scsi_dh_alua; do modprobe $m; done
echo InitiatorName=` + serverName + ` >/etc/iscsi/initiatorname.iscsi
cat >/etc/iscsi/iscsid.conf <<'CONF'
node.startup = manual
node.session.auth.authmethod = CHAP
node.session.auth.username = linux
node.session.auth.password = a-secret-of-linux
node.session.auth.username_in = array
node.session.auth.password_in = a-secret-of-array
discovery.sendtargets.auth.authmethod = CHAP
discovery.sendtargets.auth.username = linux
discovery.sendtargets.auth.password = a-secret-of-linux
discovery.sendtargets.auth.username_in = array
discovery.sendtargets.auth.password_in = a-secret-of-array
node.conn[0].iscsi.HeaderDigest = CRC32C
node.conn[0].iscsi.DataDigest = CRC32C
node.session.timeo.replacement_timeout = 5
node.conn[0].timeo.noop_out_interval = 5
node.conn[0].timeo.noop_out_timeout = 10
node.conn[0].timeo.login_timeout = 30
node.session.initial_login_retry_max = 8
node.session.queue_depth = 32
node.session.scan = auto
CONF
cat >/etc/multipath.conf <<'CONF'
defaults {
	find_multipaths no
	user_friendly_names no
	polling_interval 2
	max_polling_interval 4
	no_path_retry 30
	path_grouping_policy multibus
}
multipaths {
`)
	for _, d := range disks {
		fmt.Fprintf(&b, "\tmultipath {\n\t\twwid 3%s\n\t\talias %s\n\t}\n", d.naa, d.name)
	}
	b.WriteString("}\nCONF\niscsid\nmultipathd\n")
	s.Run(t, b.String())
}

// TestKernelInitiator is bar 4: a Linux server uses the array as it would any
// other: CHAP both ways, digests, two paths, file systems, load with a path
// that goes and comes back, and sg3-utils.
func TestKernelInitiator(t *testing.T) {
	level.Require(t, level.Smoke)
	portals := []string{array.FreeAddress(t), array.FreeAddress(t)}
	a := array.Start(t, array.Options{Document: serverDocument(portals, "active")})
	s := startServer(t, portals)
	s.configure(t)

	// Later steps build on earlier ones: the first failure ends the test.
	step := func(name string, f func(*testing.T)) {
		start := time.Now()
		if !t.Run(name, f) {
			t.FailNow()
		}
		t.Logf("%s: %.0f s", name, time.Since(start).Seconds())
	}
	step("wrong secret", func(t *testing.T) { wrongSecret(t, s) })
	step("login", func(t *testing.T) { login(t, s) })
	step("multipath", func(t *testing.T) { multipath(t, s) })
	step("file systems", func(t *testing.T) { fileSystems(t, s) })
	step("sg3-utils", func(t *testing.T) { sgTools(t, s) })
	step("reservations", func(t *testing.T) { reservations(t, s) })
	step("path failure under load", func(t *testing.T) { pathFailure(t, s, a, portals) })
	step("alua", func(t *testing.T) { changeState(t, s, a, portals) })
	step("resize", func(t *testing.T) { resize(t, s, a) })
	step("logout", func(t *testing.T) {
		s.Run(t, "multipath -F; iscsiadm -m node --logout")
	})
	a.CheckProcesses(t)
}

// wrongSecret shows that CHAP is in force, both ways.
func wrongSecret(t *testing.T, s *server) {
	for _, key := range []string{"password", "password_in"} {
		out, code := s.Status(t, fmt.Sprintf(`cp /etc/iscsi/iscsid.conf /run/good.conf
sed -i 's/\.%s = .*/.%s = not-the-secret-at-all/' /etc/iscsi/iscsid.conf
iscsiadm -m discovery -t sendtargets -p %s; status=$?
cp /run/good.conf /etc/iscsi/iscsid.conf
exit $status`, key, key, s.portals[0]))
		if code == 0 {
			t.Errorf("discovery with a wrong %s found:\n%s", key, out)
		}
	}
}

func login(t *testing.T, s *server) {
	out := s.Run(t, "iscsiadm -m discovery -t sendtargets -p "+s.portals[0])
	for i, p := range s.portals {
		if want := fmt.Sprintf("%s,%d %s", p, i+1, serverTarget); !strings.Contains(out, want) {
			t.Fatalf("discovery does not name %q:\n%s", want, out)
		}
	}
	s.Run(t, "iscsiadm -m node --login && udevadm settle")
	out = s.Run(t, "iscsiadm -m session -P 3")
	for _, want := range []string{"HeaderDigest: CRC32C", "DataDigest: CRC32C", "username: linux", "username_in: array"} {
		if n := strings.Count(out, want); n != len(s.portals) {
			t.Errorf("%d sessions show %q, want %d:\n%s", n, want, len(s.portals), out)
		}
	}
	for i := range disks {
		if n := strings.Count(out, fmt.Sprintf("Lun: %d\n", i)); n != len(s.portals) {
			t.Errorf("%d sessions see LUN %d, want %d:\n%s", n, i, len(s.portals), out)
		}
	}
}

// bothPaths is a script that succeeds when every map has two paths in use.
var bothPaths = fmt.Sprintf(`[ "$(multipathd show paths raw format '%%m %%t' | grep -c ' active$')" = %d ]`, 2*len(disks))

func multipath(t *testing.T, s *server) {
	s.eventually(t, "two active paths to every disk", time.Minute, bothPaths)
	for _, d := range disks {
		s.Run(t, "test -b /dev/mapper/"+d.name)
	}
	out := s.Run(t, "multipath -ll ext4")
	for _, want := range []string{"3" + disks[0].naa, "ESOS", "hwhandler='1 alua'", "size=256M"} {
		if !strings.Contains(out, want) {
			t.Errorf("multipath -ll does not show %q:\n%s", want, out)
		}
	}
}

// fileSystems makes both, fills them, and finds the same after a remount.
func fileSystems(t *testing.T, s *server) {
	for _, fs := range []struct{ kind, check string }{
		{"ext4", "e2fsck -fn"},
		{"xfs", "xfs_repair -n"},
	} {
		out, code := s.Status(t, fmt.Sprintf(`set -e
dev=/dev/mapper/%[1]s
mkfs.%[1]s -q $dev
mount -t %[1]s -o discard $dev /mnt
dd if=/dev/urandom of=/mnt/random bs=1M count=16 2>&1
for i in $(seq 50); do echo "file $i" >/mnt/f$i; done
sum=$(sha256sum </mnt/random)
umount /mnt
echo 3 >/proc/sys/vm/drop_caches
%[2]s $dev
mount -t %[1]s $dev /mnt
[ "$(sha256sum </mnt/random)" = "$sum" ]
[ "$(cat /mnt/f* | wc -l)" = 50 ]
rm /mnt/random
fstrim -v /mnt
umount /mnt
%[2]s $dev`, fs.kind, fs.check))
		if code != 0 {
			t.Errorf("%s: exit status %d:\n%s", fs.kind, code, out)
		}
	}
}

// pathFailure closes a portal under verified load and opens it again: no error
// may reach fio.
func pathFailure(t *testing.T, s *server, a *array.Array, portals []string) {
	runtime := 40
	if have, err := level.Of(); err == nil && have >= level.Full {
		runtime = 120
	}
	load := s.Load(t, "/dev/mapper/load", time.Duration(runtime)*time.Second)
	a.Apply(t, serverDocument([]string{portals[0], ""}, "active"))
	s.eventually(t, "the closed portal's paths fail", time.Minute,
		fmt.Sprintf(`[ "$(multipathd show paths raw format '%%m %%t' | grep -c ' active$')" = %d ]`, len(disks)))
	time.Sleep(3 * time.Second)
	a.Apply(t, serverDocument(portals, "active"))
	s.eventually(t, "the opened portal's paths come back", 90*time.Second, bothPaths)

	load.Wait(t)
}

// resize grows a disk that is in use; the server sees it after a rescan.
func resize(t *testing.T, s *server, a *array.Array) {
	a.Run(t, "device", "resize", "--yes", "ext4", "384MiB")
	s.Run(t, `set -e
iscsiadm -m session --rescan >/dev/null
udevadm settle
multipathd resize map ext4`)
	s.eventually(t, "the map grows", 30*time.Second, `[ "$(blockdev --getsize64 /dev/mapper/ext4)" = 402653184 ]`)
	out, code := s.Status(t, `mount /dev/mapper/ext4 /mnt && resize2fs /dev/mapper/ext4 2>&1 && df -k /mnt; s=$?; umount /mnt; exit $s`)
	if code != 0 {
		t.Errorf("grow the file system: %s", out)
	}
}

// changeState makes the paths non-optimized; the server's REPORT TARGET PORT
// GROUPS and multipath's priority follow.
func changeState(t *testing.T, s *server, a *array.Array, portals []string) {
	a.Apply(t, serverDocument(portals, "nonoptimized"))
	out := s.Run(t, "sg_rtpg -d "+s.path(t, "scratch", 0))
	if !strings.Contains(out, "active/non optimized") {
		t.Errorf("sg_rtpg after the change:\n%s", out)
	}
	s.eventually(t, "multipath's priority", time.Minute, `multipathd show paths raw format '%d %p' | grep -q ' 10$'`)
	a.Apply(t, serverDocument(portals, "active"))
	s.eventually(t, "multipath's priority", time.Minute, `! multipathd show paths raw format '%d %p' | grep -q ' 10$'`)
}
