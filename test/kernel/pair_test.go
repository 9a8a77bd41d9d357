package kernel

import (
	"context"
	"testing"

	"github.com/esos-project/esos/test/appliance"
	"github.com/esos-project/esos/test/guest"
	"github.com/esos-project/esos/test/stand"
)

// Addresses on the cable between an array and its server.
const (
	arrayAddress  = stand.ArrayAddress
	serverAddress = stand.ServerAddress
	serverName    = stand.ServerName
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
	cable := stand.Cable(t, &o)
	p := &pair{array: newArray(ctx, t, engine, o)}
	p.server, p.nic = p.Connect(ctx, cable)
	return p
}
