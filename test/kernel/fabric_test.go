package kernel

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/esos-project/esos/test/appliance"
	"github.com/esos-project/esos/test/level"
	"github.com/esos-project/esos/test/stand"
)

// hostNQN is the server's name on NVMe-oF.
const hostNQN = "nqn.2014-08.org.nvmexpress:uuid:5a3c1f7e-0d42-4b8a-9c6e-112233445566"

// fabrics are what a server reaches an array by. Names of ports follow from the
// cards' addresses: GIDs of RDMA (RFC 4291 appendix A), and what Linux's FCoE
// makes of them (fcoe_wwn_from_mac).
var fabrics = []struct {
	name string
	// document declares who serves the device named disk.
	document string
	// array and server are scripts that set an end up; connect, on the server,
	// ends with disk set to what it sees of the device, disconnect leaves.
	array, server, connect, disconnect string
}{
	{
		name: "NVMe over TCP",
		document: `
nvme:
  ports: [{name: tcp, transport: tcp, address: "192.0.2.1:4420"}]
  subsystems:
    - nqn: nqn.2026-11.org.esos-project.test:disk
      hosts: [{nqn: "` + hostNQN + `"}]
      namespaces: [{nsid: 1, device: disk}]
`,
		server:     "modprobe nvme_tcp",
		connect:    nvmeConnect("tcp"),
		disconnect: "nvme disconnect -n nqn.2026-11.org.esos-project.test:disk",
	},
	{
		name: "NVMe over RDMA",
		document: `
nvme:
  ports: [{name: rdma, transport: rdma, address: "192.0.2.1:4420"}]
  subsystems:
    - nqn: nqn.2026-11.org.esos-project.test:disk
      hosts: [{nqn: "` + hostNQN + `"}]
      namespaces: [{nsid: 1, device: disk}]
`,
		array:      softRoCE("$nic"),
		server:     softRoCE("eth1") + "modprobe nvme_rdma\n",
		connect:    nvmeConnect("rdma"),
		disconnect: "nvme disconnect -n nqn.2026-11.org.esos-project.test:disk",
	},
	{
		name: "iSER",
		document: `
iscsi:
  portals: [{name: roce, address: "192.0.2.1:3260", iser: true}]
targets:
  - name: iqn.2026-11.org.esos-project.test:iser
    groups:
      - {name: servers, initiators: ["` + serverName + `"], luns: [{lun: 0, device: disk}]}
`,
		array:  softRoCE("$nic"),
		server: softRoCE("eth1") + "modprobe ib_iser\n",
		connect: `
iscsiadm -m discovery -t st -I iser -p 192.0.2.1:3260
iscsiadm -m node -I iser -T iqn.2026-11.org.esos-project.test:iser --login
iscsiadm -m session | grep '^iser'
` + scsiDisk,
		disconnect: "iscsiadm -m node -u && iscsiadm -m node -o delete",
	},
	{
		name: "SRP",
		document: `
targets:
  - name: fe80:0000:0000:0000:5054:00ff:fee5:0001
    driver: ib_srpt
    groups:
      - {name: servers, initiators: ["0x00000000000000005054` + "00fffee50002" + `"], luns: [{lun: 0, device: disk}]}
`,
		array:  softRoCE("$nic"),
		server: softRoCE("eth1") + "modprobe ib_srp\n",
		connect: `
echo "id_ext=505400fffee50001,ioc_guid=505400fffee50001,dest=192.0.2.1:5555" > /sys/class/infiniband_srp/srp-rxe0-1/add_target
` + scsiDisk,
		disconnect: "for r in /sys/class/srp_remote_ports/port-*; do echo 1 > $r/delete; done",
	},
	{
		name: "FCoE",
		document: `
targets:
  - name: 20:00:52:54:00:e5:00:01
    driver: fcst
    groups:
      - {name: servers, initiators: ["20:00:52:54:00:e5:00:02"], luns: [{lun: 0, device: disk}]}
`,
		array:      "modprobe tcm_fc; modprobe fcoe\n" + pointToPoint("$nic"),
		server:     "modprobe fcoe",
		connect:    pointToPoint("eth1") + scsiDisk,
		disconnect: "echo eth1 > /sys/bus/fcoe/ctlr_destroy",
	},
}

func nvmeConnect(transport string) string {
	return `
nvme discover -t ` + transport + ` -a 192.0.2.1 -s 4420 -q ` + hostNQN + `
nvme connect -t ` + transport + ` -a 192.0.2.1 -s 4420 -n nqn.2026-11.org.esos-project.test:disk -q ` + hostNQN + `
for try in $(seq 40); do [ -b /dev/nvme0n1 ] && break; sleep 0.5; done
disk=/dev/nvme0n1
`
}

// softRoCE makes an RDMA device of a network card, once.
func softRoCE(nic string) string {
	return "modprobe rdma_rxe; rdma link show | grep -q rxe0 || rdma link add rxe0 type rxe netdev " + nic + "\n"
}

// pointToPoint makes a Fibre Channel port of a network card that finds others
// without a switch (VN2VN, FC-BB-6).
func pointToPoint(nic string) string {
	return `
ls -d /sys/bus/fcoe/devices/ctlr_* >/dev/null 2>&1 || echo ` + nic + ` > /sys/bus/fcoe/ctlr_create
for c in /sys/bus/fcoe/devices/ctlr_*; do
	[ "$(cat $c/enabled)" = 1 ] || { echo VN2VN > $c/mode; echo 1 > $c/enabled; }
done
`
}

// scsiDisk waits for a disk of ours.
const scsiDisk = `
disk=
for try in $(seq 80); do
	for d in /sys/block/sd*; do
		[ -e $d ] && grep -q ESOS $d/device/vendor && disk=/dev/${d##*/}
	done
	[ -n "$disk" ] && break
	sleep 0.5
done
[ -n "$disk" ] || { echo "no disk"; dmesg | tail -n 20; exit 1; }
`

// TestFabrics has a server read and write a device of the array over each
// fabric that needs no hardware.
func TestFabrics(t *testing.T) {
	level.Require(t, level.Full)
	ctx := stand.Timeout(t, 40*time.Minute)
	p := newPair(ctx, t, "lio", appliance.Options{})
	for _, f := range fabrics {
		t.Run(f.name, func(t *testing.T) {
			p.array.Stand.T = t
			defer func() { p.array.Stand.T = nil }()
			began := time.Now()
			if f.array != "" {
				p.Run(ctx, "nic="+p.nic+"\n"+f.array)
			}
			p.server.Run(t, f.server)
			p.apply(ctx, "devices:\n  - {name: disk, handler: vdisk_fileio, path: "+images+"/fabric.img, size: 64MiB}\n"+f.document)
			p.exchange(ctx, t, f.connect, f.disconnect)
			p.Until(ctx, `[ $(esos session list -o json | grep -c '"id"') = 0 ] && esos nvme connection list -o json | grep -q '"connections": \[\]' && echo nobody`, "nobody")
			// This kernel does not tell which NVMe hosts are connected.
			p.apply(ctx, "", "--destroy nvme-subsystem/nqn.2026-11.org.esos-project.test:disk")
			t.Logf("%s: %.0f s", f.name, time.Since(began).Seconds())
		})
	}
	p.array.Stand.T = t
}

// exchange has the server write, read back after it dropped what it had in
// memory, and compares with what the array has in the image file.
func (p *pair) exchange(ctx context.Context, t *testing.T, connect, disconnect string) {
	t.Helper()
	out, code := p.server.Status(t, "set -e\n"+connect+`
echo "sees $disk of $(blockdev --getsize64 $disk) bytes"
dd if=/dev/urandom of=/tmp/data bs=1M count=8 2>/dev/null
dd if=/tmp/data of=$disk bs=256k oflag=direct seek=16 2>&1 | tail -n 1
blockdev --flushbufs $disk
dd if=$disk bs=256k iflag=direct skip=16 count=32 2>/dev/null | cmp - /tmp/data && echo "reads what it wrote"
sync
sha256sum < /tmp/data
`)
	defer p.server.Status(t, disconnect)
	if code != 0 || !strings.Contains(out, "reads what it wrote") {
		t.Errorf("the server: status %d\n%s\nthe array:\n%s", code, out, p.Run(ctx, "dmesg | tail -n 30"))
		return
	}
	sums := strings.Fields(out[strings.LastIndex(out, "wrote\n")+6:])
	if got := p.Run(ctx, "dd if="+images+"/fabric.img bs=256k skip=16 count=32 2>/dev/null | sha256sum"); !strings.HasPrefix(got, sums[0]) {
		t.Errorf("the image file does not have what the server wrote (%s): %s", sums[0], got)
	}
	t.Logf("%s", strings.TrimSpace(out[:strings.LastIndex(out, "reads")]))
}
