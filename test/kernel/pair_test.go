package kernel

import (
	"context"
	"path/filepath"
	"strings"
	"testing"

	"github.com/esos-project/esos/internal/vm"
	"github.com/esos-project/esos/test/appliance"
	"github.com/esos-project/esos/test/guest"
	"github.com/esos-project/esos/test/level"
)

// Addresses on the cable between an array and its server.
const (
	arrayAddress  = "192.0.2.1"
	serverAddress = "192.0.2.2"
	serverName    = "iqn.2026-11.org.esos-project.test:linux"
)

// pair is an array and a Linux server on a cable of their own.
type pair struct {
	*array
	server *guest.Server
	nic    string // the array's end
}

// newPair boots both. The server's end of the cable is eth1.
func newPair(ctx context.Context, t *testing.T, engine string, o appliance.Options) *pair {
	t.Helper()
	cable := filepath.Join(level.ShortDir(t), "c")
	const mac = "52:54:00:e5:00:01"
	o.Cards = []vm.Card{{MAC: mac, Cable: cable, End: 0}}
	p := &pair{array: newArray(ctx, t, engine, o)}
	p.nic = strings.TrimSpace(p.Run(ctx, "grep -l "+mac+" /sys/class/net/*/address | cut -d/ -f5"))
	// Large frames: those of Fibre Channel over Ethernet do not fit into small ones.
	p.Run(ctx, "ip address add "+arrayAddress+"/24 dev "+p.nic+" && ip link set "+p.nic+" mtu 4000 up")
	p.server = guest.Start(t, vm.Card{MAC: "52:54:00:e5:00:02", Cable: cable, End: 1})
	p.server.Run(t, `set -e
ip address add `+serverAddress+`/24 dev eth1
ip link set eth1 mtu 4000 up
echo InitiatorName=`+serverName+` >/etc/iscsi/initiatorname.iscsi
cat >/etc/iscsi/iscsid.conf <<'CONF'
node.startup = manual
node.session.timeo.replacement_timeout = 5
node.conn[0].timeo.noop_out_interval = 5
node.conn[0].timeo.noop_out_timeout = 10
node.conn[0].timeo.login_timeout = 30
node.session.initial_login_retry_max = 8
node.session.queue_depth = 32
node.session.scan = auto
CONF
modprobe iscsi_tcp
iscsid`)
	return p
}
