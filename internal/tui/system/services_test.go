package system

import (
	"slices"
	"testing"

	"github.com/gdamore/tcell/v2"

	"github.com/esos-project/esos/internal/api/apitest"
	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/tui/tuitest"
)

// toService goes to a service in the list.
func toService(t *testing.T, c *tuitest.Console, name string) {
	t.Helper()
	c.Press(tcell.KeyHome)
	down(c, slices.IndexFunc(config.ServiceKinds(), func(k config.ServiceKind) bool { return k.Name == name }))
}

func TestServices(t *testing.T) {
	t.Parallel()
	a, c := array(t, apitest.Options{})
	open(t, c, "Services")
	c.Wait("corosync-qdevice")
	golden(c, "services")
	toService(t, c, "snmp")
	c.Type("t")
	c.Wait("esos service enable snmp")
	c.CarryOut()
	if s, err := a.Document().FindService("snmp"); err != nil || !s.Enabled {
		t.Errorf("snmp is %+v, %v", s, err)
	}
	golden(c, "services_on")
	c.Type("r")
	c.Wait("Restart snmp?")
	c.Press(tcell.KeyLeft, tcell.KeyEnter)
	c.Wait("snmp is started anew")
	c.Type("t")
	c.Wait("esos service disable snmp")
	c.CarryOut()
	if s, err := a.Document().FindService("snmp"); err != nil || s.Enabled {
		t.Errorf("snmp is %+v, %v", s, err)
	}
	c.Type("x")
	c.Wait("say nothing of service snmp")
	c.CarryOut()
	if s, err := a.Document().FindService("snmp"); err == nil {
		t.Errorf("snmp is still %+v", s)
	}
	c.Type("x")
	c.Wait("Nothing to change")
	c.Golden("nothing_to_change")
	c.Enter()
	toService(t, c, "corosync") // which fails to start
	c.Type("r")
	c.Press(tcell.KeyLeft, tcell.KeyEnter)
	c.Wait("Restart corosync: that failed")
}
