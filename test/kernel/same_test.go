package kernel

import (
	"context"
	"fmt"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/test/appliance"
	"github.com/esos-project/esos/test/level"
	"github.com/esos-project/esos/test/stand"
)

// look logs an initiator in and prints what it sees of each disk.
const look = `
set -u
name=$1 target=$2 portal=$3 user=$4 secret=$5 target_user=$6 target_secret=$7
iscsiadm -m iface -I look -o delete >/dev/null 2>&1
iscsiadm -m iface -I look -o new >/dev/null
iscsiadm -m iface -I look -o update -n iface.initiatorname -v "$name" >/dev/null
node() { iscsiadm -m node -I look -T "$target" -p "$portal" "$@"; }
node -o new >/dev/null
set_() { node -o update -n "$1" -v "$2" >/dev/null; }
set_ node.session.initial_login_retry_max 1
set_ 'node.conn[0].iscsi.HeaderDigest' CRC32C,None
set_ 'node.conn[0].iscsi.DataDigest' CRC32C,None
if [ -n "$user" ]; then
	set_ node.session.auth.authmethod CHAP
	set_ node.session.auth.username "$user"; set_ node.session.auth.password "$secret"
fi
if [ -n "$target_user" ]; then
	set_ node.session.auth.username_in "$target_user"; set_ node.session.auth.password_in "$target_secret"
fi
if node --login >/tmp/login 2>&1; then
	echo "logged in"
	for try in 1 2 3 4 5 6 7 8; do # the disks come a while after the login
		ls /dev/disk/by-path/*"$target"-lun-* >/dev/null 2>&1 && break
		sleep 0.5
	done
	udevadm settle
	for d in /dev/disk/by-path/*"$target"-lun-*; do
		[ -e "$d" ] || continue
		case $d in *-part*) continue;; esac
		echo "LUN ${d##*-lun-}: $(blockdev --getsize64 $d) bytes in blocks of $(blockdev --getss $d), read-only $(blockdev --getro $d)"
		echo "  serial $(sg_inq -p sn $d | sed -n 's/.*Unit serial number: *//p')"
		name=$(basename $(readlink -f $d))
		echo "  $(cat /sys/block/$name/device/wwid) $(cat /sys/block/$name/device/vendor /sys/block/$name/device/model /sys/block/$name/device/rev | xargs)"
	done
	node --logout >/dev/null
else
	echo "refused"
fi
node -o delete >/dev/null
`

// TestSameDocument serves each example that names no engine with the native
// engine and with LIO, and asks the initiators that it names, and one that it
// does not name, what they see.
func TestSameDocument(t *testing.T) {
	level.Require(t, level.Full)
	ctx := stand.Timeout(t, 40*time.Minute)
	big, err := shared.Lab(t).Blank("images", 64<<30)
	if err != nil {
		t.Fatal(err)
	}
	a := newArray(ctx, t, "native", appliance.Options{Others: drives(big, "images")})
	a.Run(ctx, "mkfs.ext4 -q /dev/disk/by-id/virtio-images && mkdir -p /var/lib/esos/devices && mount /dev/disk/by-id/virtio-images /var/lib/esos/devices && systemctl start iscsid && modprobe iscsi_tcp")
	a.Pipe(ctx, "cat > /tmp/look", look)
	files, err := filepath.Glob(filepath.Join(level.Root(t), "examples", "*.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	compared := 0
	for _, file := range files {
		doc, _, err := config.Load(file)
		if err != nil {
			t.Fatal(err)
		}
		if doc.Engine != "" || len(doc.Targets) == 0 || doc.Storage.Declared() {
			continue
		}
		name := filepath.Base(file)
		seen := map[string]map[string]string{}
		for _, engine := range []string{"native", "lio"} {
			seen[engine] = a.serveExample(ctx, file, engine, doc)
		}
		// Images stay: they are the same disks then. What is in memory goes.
		clear := "esos apply -y -f -"
		for _, d := range doc.Devices {
			clear += " --destroy device/" + d.Name
		}
		a.Pipe(ctx, clear, "version: 1\nname: kernel\nengine: lio\napi: {listen: '0.0.0.0:8443'}\n")
		if diff := cmp.Diff(seen["native"], seen["lio"]); diff != "" {
			t.Errorf("%s: what initiators see of native (-) and LIO (+):\n%s", name, diff)
		}
		for _, who := range slices.Sorted(maps.Keys(seen["lio"])) {
			t.Logf("%s: %s: %s", name, who, seen["lio"][who])
			if strings.Contains(seen["lio"][who], "serial ") {
				compared++
			}
		}
	}
	if compared < 3 {
		t.Errorf("only %d initiators saw a disk", compared)
	}
}

// serveExample serves a file with one line more, in place of what another
// engine serves of it, and returns what initiators see.
func (a *array) serveExample(ctx context.Context, file, engine string, doc *config.Document) map[string]string {
	a.T.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		a.T.Fatal(err)
	}
	if len(doc.Network.Interfaces) > 0 {
		// Its cards are not this machine's: all but those.
		rest := doc.Clone()
		rest.Network = config.Network{}
		if text, err = config.Marshal(rest); err != nil {
			a.T.Fatal(err)
		}
		for _, p := range doc.ISCSI.Portals {
			host, _, _ := net.SplitHostPort(p.Address)
			a.Run(ctx, "ip address replace "+host+"/32 dev lo")
		}
	}
	a.Pipe(ctx, "esos apply -y -f - --destroy engine", strings.Replace(string(text), "\nname: ", "\nengine: "+engine+"\nname: ", 1))
	if got := a.Run(ctx, "esos status"); !strings.Contains(got, engine) {
		a.T.Fatalf("%s is not served by %s:\n%s", file, engine, got)
	}
	seen := map[string]string{}
	for _, t := range doc.Targets {
		for _, name := range append(named(t), "iqn.1993-08.org.debian:01:stranger") {
			user, mutual := config.CHAPUser{}, config.CHAPUser{}
			if len(t.Auth.Users) > 0 {
				user = t.Auth.Users[0]
			}
			if t.Auth.Mutual != nil {
				mutual = *t.Auth.Mutual
			}
			seen[name+" at "+t.Name] = a.Run(ctx, fmt.Sprintf("sh /tmp/look '%s' '%s' '%s' '%s' '%s' '%s' '%s'", name, t.Name,
				doc.ISCSI.Portals[0].Address, user.Name, string(user.Secret), mutual.Name, string(mutual.Secret)))
		}
	}
	return seen
}

// named are the initiators that a target's groups name without a pattern.
func named(t config.Target) []string {
	var names []string
	for _, g := range t.Groups {
		for _, i := range g.Initiators {
			if !strings.ContainsAny(i, "*?!") {
				names = append(names, i)
			}
		}
	}
	return names
}
