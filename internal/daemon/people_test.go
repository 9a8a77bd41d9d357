package daemon

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/esos-project/esos/internal/alert"
	"github.com/esos-project/esos/internal/appliance"
	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/host/units"
)

// declaredServices is an array whose document has them.
type declaredServices []config.Service

func (d declaredServices) Document(context.Context) (*config.Document, appliance.Revision, error) {
	return &config.Document{Services: d}, appliance.Revision{}, nil
}

// someUnits is systemd, where some units are failed.
type someUnits struct {
	failed []string
	asked  [][]string
	err    error
}

func (s *someUnits) Look(_ context.Context, names ...string) ([]units.Unit, error) {
	s.asked = append(s.asked, names)
	var all []units.Unit
	for _, n := range names {
		u := units.Unit{Name: n, File: "enabled", Active: "active"}
		if slices.Contains(s.failed, n) {
			u.Active, u.Result = "failed", "exit-code"
		}
		all = append(all, u)
	}
	return all, s.err
}

func TestFailedServicesRaiseAlerts(t *testing.T) {
	var events []string
	board := alert.NewBoard(func(kind, object, message string) { events = append(events, kind+" "+object+" "+message) })
	systemd := &someUnits{failed: []string{"snmpd.service", "cron.service"}}
	rule := &services{units: systemd, raised: map[string]bool{}}
	check := func(declared ...config.Service) {
		t.Helper()
		rule.app = declaredServices(declared)
		if err := rule.Check(t.Context(), board); err != nil {
			t.Fatal(err)
		}
	}
	active := func() []string {
		var ids []string
		for _, a := range board.Active() {
			ids = append(ids, a.ID)
		}
		slices.Sort(ids)
		return ids
	}
	check()
	if len(systemd.asked) != 0 {
		t.Error("systemd was asked though no service is declared")
	}
	snmp, cron, ssh := config.Service{Name: "snmp", Enabled: true}, config.Service{Name: "cron", Enabled: true}, config.Service{Name: "ssh", Enabled: true}
	check(snmp, cron, ssh, config.Service{Name: "smart"})
	check(snmp, cron, ssh)
	if got := active(); !slices.Equal(got, []string{"service.failed.cron", "service.failed.snmp"}) || len(events) != 2 {
		t.Errorf("active: %v, events %q", got, events)
	}
	if a := board.Active()[0]; !strings.Contains(a.Message, "exit-code") || !strings.Contains(a.Message, "esos service restart") {
		t.Errorf("the alert says %q", a.Message)
	}
	systemd.err = errors.New("systemd does not answer")
	if err := rule.Check(t.Context(), board); err == nil || len(active()) != 2 {
		t.Errorf("when systemd does not answer: %v, %v", err, active())
	}
	systemd.err, systemd.failed = nil, []string{"cron.service"}
	check(snmp, cron)
	if got := active(); !slices.Equal(got, []string{"service.failed.cron"}) {
		t.Errorf("snmp runs again; active: %v", got)
	}
	check(snmp)
	if got := active(); len(got) != 0 {
		t.Errorf("cron is not declared any more; active: %v", got)
	}
}
