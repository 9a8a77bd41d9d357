package network

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/esos-project/esos/test/level"
)

// section is the network of one end: a bond of two ports with jumbo frames and
// both families, a VLAN on it, a bridge over that, and a route through the
// other end: what that leads to is a bridge of nothing for IPv4. (Linux has no IPv6
// address answer before its link was up once, RFC 4862 5.4.)
func section(end int, nics []string) string {
	me, you := end+1, 2-end
	return fmt.Sprintf(`network:
  hostname: end%[1]d
  interfaces:
    - name: %[3]s
    - name: %[4]s
    - name: bond0
      kind: bond
      mtu: 9000
      addresses: [10.80.0.%[1]d/24, "fd00:80::%[1]d/64", "fd00:90:%[1]d::1/64"]
      routes:
        - {to: 10.90.%[2]d.0/24, via: 10.80.0.%[2]d}
        - {to: "fd00:90:%[2]d::/48", via: "fd00:80::%[2]d", metric: 77}
      bond: {mode: active-backup, members: [%[3]s, %[4]s], primary: %[3]s}
    - name: bond0.20
      kind: vlan
      vlan: {parent: bond0, id: 20}
    - name: br0
      kind: bridge
      mtu: 9000
      addresses: [10.81.0.%[1]d/24, "fd00:81::%[1]d/64"]
      bridge: {members: [bond0.20]}
    - name: br1
      kind: bridge
      addresses: [10.90.%[1]d.1/24]
`, me, you, nics[0], nics[1])
}

// declare puts a network section into the document in force.
func (a *array) declare(ctx context.Context, text string) {
	a.t.Helper()
	a.run(ctx, "esos config show | sed '/^network:/,/^[a-z]/{/^network:/d;/^ /d}' >/root/next.yaml; cat >>/root/next.yaml <<'END'\n"+text+"END")
	a.t.Logf("apply: %s", a.run(ctx, "esos apply --yes -f /root/next.yaml && esos network confirm"))
}

// whole checks what one document was to bring about.
func (a *array) whole(ctx context.Context, nics []string) {
	a.t.Helper()
	out := a.run(ctx, fmt.Sprintf("ip -d link; cat /proc/net/bonding/bond0; cat /sys/class/net/{bond0,bond0.20,br0,%s,%s}/mtu; ip route; ip -6 route; hostname; cat /etc/hosts", nics[0], nics[1]))
	for _, want := range []string{"802.1Q id 20", "active-backup", "Currently Active Slave: " + nics[0], "9000\n9000\n9000\n9000\n9000\n", "metric 77", "via 10.80.0."} {
		if !strings.Contains(out, want) {
			a.t.Errorf("there is no %q in\n%s", want, out)
		}
	}
	if out := a.run(ctx, fmt.Sprintf("ip -4 -br addr show %s; ip -4 -br addr show %s; esos status", nics[0], nics[1])); strings.Contains(out, "10.") && strings.Contains(out, "/") {
		a.t.Errorf("a port of the bond has an address:\n%s", out)
	}
}

// TestLoop brings the same up on one machine whose cards are joined to each
// other; the other ends are in a network of their own, set up with ip.
func TestLoop(t *testing.T) {
	level.Require(t, level.Smoke)
	ctx := timeout(t, 15*time.Minute)
	dir := level.ShortDir(t)
	a := newArray(ctx, t, "loop", 0, filepath.Join(dir, "c"), filepath.Join(dir, "d"))
	for i, c := range a.o.Cards {
		c.End, c.MAC = 1, mac(1, i)
		a.o.Cards = append(a.o.Cards, c)
	}
	a.start(ctx)
	a.login(ctx)
	nics := a.nics[:2]
	a.run(ctx, fmt.Sprintf(`set -e
ip netns add peer
ip link set %[1]s netns peer
ip link set %[2]s netns peer
ip -n peer link add bond0 type bond mode active-backup miimon 100
for i in %[1]s %[2]s; do ip -n peer link set $i down; ip -n peer link set $i master bond0; done
ip -n peer link set bond0 mtu 9000 up
ip -n peer link add link bond0 name vlan20 type vlan id 20
ip -n peer link set vlan20 up
ip -n peer addr add 10.80.0.2/24 dev bond0
ip -n peer addr add fd00:80::2/64 dev bond0 nodad
ip -n peer addr add 10.81.0.2/24 dev vlan20
ip -n peer addr add fd00:81::2/64 dev vlan20 nodad
ip -n peer link set lo up
ip -n peer addr add 10.90.2.1/24 dev lo
ip -n peer addr add fd00:90:2::1/64 dev lo
# The address nearest to that one is asked from (RFC 6724 5, rule 8).
ip -n peer route add fd00:90:1::/64 via fd00:80::1`, a.nics[2], a.nics[3]))
	before := strings.Fields(a.run(ctx, "esos status | grep ^Revision"))[1]
	a.declare(ctx, section(0, nics))
	a.whole(ctx, nics)
	a.traffic(ctx)
	t.Logf("rollback: %s", a.run(ctx, "esos config rollback "+strings.Trim(before, ",")+" --yes && esos network confirm"))
	a.gone(ctx, nics)
}

// traffic sends packets to the other end over all that was declared.
func (a *array) traffic(ctx context.Context) {
	a.t.Helper()
	for _, to := range []string{"10.80.0.2", "fd00:80::2", "10.81.0.2", "fd00:81::2", "10.90.2.1", "fd00:90:2::1"} {
		a.until(ctx, "packets arrive at "+to, "ping -c 1 -W 3 "+to)
		if !strings.Contains(to, "90") {
			// It fills a jumbo frame and must not be cut into pieces.
			a.run(ctx, "ping -c 3 -W 5 -M do -s 8900 "+to)
		}
	}
}

// gone checks that nothing is left of what was declared.
func (a *array) gone(ctx context.Context, nics []string) {
	a.t.Helper()
	a.until(ctx, "the interfaces are gone", "test ! -e /sys/class/net/bond0 -a ! -e /sys/class/net/bond0.20 -a ! -e /sys/class/net/br0 -a ! -e /sys/class/net/br1")
	if out := a.run(ctx, "ls /etc/systemd/network; cat /sys/class/net/{"+strings.Join(nics, ",")+"}/mtu"); strings.Contains(out, "20-esos") || strings.Count(out, "1500") != len(nics) {
		a.t.Errorf("left is %s", out)
	}
}

// TestStack brings a bond, a VLAN on it, a bridge over the VLAN, jumbo frames,
// addresses and routes of both families up from one document on each of two
// machines, and carries packets over all of it: at once, after a cable was
// pulled, and after a reboot. The document of before takes it all away again.
func TestStack(t *testing.T) {
	level.Require(t, level.Full)
	ctx := timeout(t, 40*time.Minute)
	dir := level.ShortDir(t)
	cables := []string{filepath.Join(dir, "c"), filepath.Join(dir, "d")}
	a, b := newArray(ctx, t, "left", 0, cables...), newArray(ctx, t, "right", 1, cables...)
	a.start(ctx)
	b.start(ctx)
	a.login(ctx)
	b.login(ctx)
	nicsA, nicsB := a.nics, b.nics
	before := strings.Fields(a.run(ctx, "esos status | grep ^Revision"))[1]
	a.declare(ctx, section(0, nicsA))
	b.declare(ctx, section(1, nicsB))
	a.whole(ctx, nicsA)
	a.traffic(ctx)

	a.run(ctx, "ip link set "+nicsA[0]+" down")
	b.run(ctx, "ip link set "+nicsB[0]+" down")
	a.until(ctx, "the bond uses the other port", "grep -q 'Currently Active Slave: "+nicsA[1]+"' /proc/net/bonding/bond0")
	a.traffic(ctx)
	b.run(ctx, "ip link set "+nicsB[0]+" up")
	a.run(ctx, "ip link set "+nicsA[0]+" up")

	a.m.Console().Forget()
	_, _ = a.try(ctx, "systemctl reboot") // the connection ends before the command does
	if _, err := a.m.WaitKernel(ctx); err != nil {
		t.Fatal(err)
	}
	a.login(ctx)
	a.until(ctx, "the bond is back", "grep -q 'Currently Active Slave: "+nicsA[0]+"' /proc/net/bonding/bond0 && ip -br addr show br0 | grep -q fd00")
	a.whole(ctx, nicsA)
	a.traffic(ctx)
	if out := a.run(ctx, "esos status"); !strings.Contains(out, "ok") {
		t.Errorf("status after the reboot:\n%s", out)
	}

	t.Logf("rollback: %s", a.run(ctx, "esos config rollback "+strings.Trim(before, ",")+" --yes && esos network confirm"))
	a.gone(ctx, nicsA)
}
