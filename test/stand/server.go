package stand

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

// Addresses on the cable between an array and its server, and how the server
// calls itself.
const (
	ArrayAddress  = "192.0.2.1"
	ServerAddress = "192.0.2.2"
	ServerName    = "iqn.2026-11.org.esos-project.test:linux"
)

const cableMAC = "52:54:00:e5:00:01"

// Cable gives an appliance that is yet to start a network card with a cable.
func Cable(t *testing.T, o *appliance.Options) (cable string) {
	t.Helper()
	cable = filepath.Join(level.ShortDir(t), "c")
	o.Cards = []vm.Card{{MAC: cableMAC, Cable: cable, End: 0}}
	return cable
}

// Connect starts a Linux server at the other end of the cable, and returns it
// and the name of the appliance's card. The server's card is eth1.
func (s *Stand) Connect(ctx context.Context, cable string) (server *guest.Server, card string) {
	s.T.Helper()
	card = strings.TrimSpace(s.Run(ctx, "grep -l "+cableMAC+" /sys/class/net/*/address | cut -d/ -f5"))
	// Large frames: those of Fibre Channel over Ethernet do not fit into small ones.
	s.Run(ctx, "ip address add "+ArrayAddress+"/24 dev "+card+" && ip link set "+card+" mtu 4000 up")
	server = guest.Start(s.T, vm.Card{MAC: "52:54:00:e5:00:02", Cable: cable, End: 1})
	server.Run(s.T, `set -e
ip address add `+ServerAddress+`/24 dev eth1
ip link set eth1 mtu 4000 up
echo InitiatorName=`+ServerName+` >/etc/iscsi/initiatorname.iscsi
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
	return server, card
}
