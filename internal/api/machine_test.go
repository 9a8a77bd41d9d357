package api

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	v1 "github.com/esos-project/esos/internal/api/v1"
	"github.com/esos-project/esos/internal/config"
	hostclock "github.com/esos-project/esos/internal/host/clock"
	"github.com/esos-project/esos/internal/host/units"
)

// people is a document with a user of each role.
func people() *config.Document {
	return &config.Document{Users: []config.Account{
		{Name: "ann", Role: "admin", UID: 5001}, {Name: "bob", Role: "operator", UID: 5002},
		{Name: "eve", Role: "viewer", UID: 5003}, {Name: "out", Role: "admin", UID: 5004, Locked: true},
	}}
}

func TestRoleAtSocket(t *testing.T) {
	s := &Server{}
	if _, err := s.roleAtSocket(5001, "ann"); err == nil {
		t.Error("before there is a document, somebody has a role")
	}
	s.accounts.Store(&people().Users)
	for _, c := range []struct {
		uid  int
		name string
		want Role
	}{
		{5001, "ann", Admin}, {5002, "bob", Operator}, {5003, "eve", Viewer},
		{5004, "out", Nobody},        // locked
		{5001, "other", Nobody},      // the number is somebody else's on this machine
		{5002, "ann", Nobody},        // a role goes with the number, not with the name alone
		{5999, "stranger", Nobody},   // not declared
		{65534, "nobody", Nobody},    // not declared
		{5001, "uid5001", Nobody},    // the machine has no such user any more
		{1000, "admin", Nobody},      // not declared: sudo is left
		{890, "esos-target", Nobody}, // the process that faces initiators
	} {
		role, err := s.roleAtSocket(c.uid, c.name)
		if role != c.want || (err != nil) != (c.want == Nobody) {
			t.Errorf("%s (%d) is %s (%v), want %s", c.name, c.uid, role, err, c.want)
		}
	}
}

func TestUsersChangeNeitherTheMachineNorThemselves(t *testing.T) {
	remove := func(name string) func(*config.Document) {
		return func(d *config.Document) {
			d.Users = slices.DeleteFunc(d.Users, func(u config.Account) bool { return u.Name == name })
		}
	}
	set := func(i int, f func(u *config.Account)) func(*config.Document) {
		return func(d *config.Document) { f(&d.Users[i]) }
	}
	ann := principal{name: "ann", account: "ann", role: Admin, local: true}
	bob := principal{name: "bob", account: "bob", role: Operator, local: true}
	root := principal{name: "root", role: Admin, local: true}
	for name, c := range map[string]struct {
		who     principal
		edit    func(*config.Document)
		refused bool
	}{
		"an admin removes an operator":           {ann, remove("bob"), false},
		"an admin removes herself":               {ann, remove("ann"), true},
		"an admin locks herself":                 {ann, set(0, func(u *config.Account) { u.Locked = true }), true},
		"an admin takes her own role":            {ann, set(0, func(u *config.Account) { u.Role = "viewer" }), true},
		"an admin changes her own key":           {ann, set(0, func(u *config.Account) { u.SSHKeys = []string{"x"} }), false},
		"root removes the admin":                 {root, remove("ann"), false},
		"an operator promotes himself":           {bob, set(1, func(u *config.Account) { u.Role = "admin" }), true},
		"an operator sets another's password":    {bob, set(0, func(u *config.Account) { u.Password = "*" }), true},
		"an operator adds a key to an admin":     {bob, set(0, func(u *config.Account) { u.SSHKeys = []string{"x"} }), true},
		"an operator adds a user":                {bob, func(d *config.Document) { d.Users = append(d.Users, config.Account{Name: "new", Role: "viewer"}) }, true},
		"an operator sets the clock":             {bob, func(d *config.Document) { d.Clock.Timezone = "UTC" }, true},
		"an operator switches a service":         {bob, func(d *config.Document) { d.Services = []config.Service{{Name: "snmp", Enabled: true}} }, true},
		"an operator sends mail elsewhere":       {bob, func(d *config.Document) { d.Mail.Server = "evil.example.com" }, true},
		"an admin sends mail elsewhere":          {ann, func(d *config.Document) { d.Mail.Server = "mail.example.com" }, false},
		"an operator renames the array":          {bob, func(d *config.Document) { d.Name = "b" }, false},
		"an operator of the network adds a user": {principal{name: "bob", role: Operator}, func(d *config.Document) { d.Users = nil }, true},
	} {
		old, doc := people(), people()
		c.edit(doc)
		err := permitChange(c.who, old, doc, nil)
		if (err != nil) != c.refused {
			t.Errorf("%s: %v, want refused=%v", name, err, c.refused)
		}
		var f *failure
		if err != nil && (!errors.As(err, &f) || f.Status != http.StatusForbidden) {
			t.Errorf("%s: %v is no refusal", name, err)
		}
	}
}

// fakeMachine has a clock and services.
type fakeMachine struct {
	sync      bool
	set       time.Time
	restarted []string
	fail      error
}

func (m *fakeMachine) State(context.Context) (hostclock.State, error) {
	return hostclock.State{Time: time.Date(2026, 11, 28, 9, 0, 0, 0, time.UTC), Timezone: "Europe/Berlin", Sync: m.sync, Server: "ntp.example.com"}, m.fail
}

func (m *fakeMachine) SetTime(_ context.Context, t time.Time) error { m.set = t; return m.fail }

func (m *fakeMachine) Look(_ context.Context, names ...string) ([]units.Unit, error) {
	var all []units.Unit
	for _, n := range names {
		u := units.Unit{Name: n, File: "disabled", Active: "inactive"}
		switch n {
		case "ssh.service":
			u.File, u.Active = "enabled", "active"
		case "snmpd.service":
			u.File, u.Active, u.Result = "enabled", "failed", "exit-code"
		case "nsca.service":
			u = units.Unit{Name: n, Active: "inactive"}
		}
		all = append(all, u)
	}
	return all, m.fail
}

func (m *fakeMachine) Restart(_ context.Context, names ...string) error {
	m.restarted = append(m.restarted, names...)
	return m.fail
}

func TestMachine(t *testing.T) {
	a := newArray(t)
	for _, path := range []string{"/clock", "/services"} {
		if w := a.do(call{role: Viewer, method: "GET", path: path}); w.Code != http.StatusConflict || !strings.Contains(w.Body.String(), "appliance") {
			t.Errorf("GET %s on a machine that is not ours: %d %s", path, w.Code, w.Body)
		}
	}
	m := &fakeMachine{sync: true}
	a.Server.clock, a.Server.services = m, m
	now, _ := must[v1.ClockState](a, http.StatusOK, call{role: Viewer, method: "GET", path: "/clock"})
	if now.Timezone != "Europe/Berlin" || !now.Sync || now.Server != "ntp.example.com" {
		t.Errorf("clock: %+v", now)
	}
	when := time.Date(2026, 11, 29, 1, 2, 3, 0, time.UTC)
	if w := a.do(call{role: Admin, method: "POST", path: "/clock/time", body: v1.ClockTime{Time: when}}); w.Code != http.StatusConflict || !m.set.IsZero() {
		t.Errorf("set while time servers are asked: %d, set to %s", w.Code, m.set)
	}
	m.sync = false
	must[struct{}](a, http.StatusNoContent, call{role: Admin, method: "POST", path: "/clock/time", body: v1.ClockTime{Time: when}})
	if !m.set.Equal(when) {
		t.Errorf("the clock was set to %s", m.set)
	}
	if w := a.do(call{role: Admin, method: "POST", path: "/clock/time", body: v1.ClockTime{}}); w.Code != http.StatusUnprocessableEntity {
		t.Errorf("set to the year 1: %d", w.Code)
	}
	all, _ := must[[]v1.ServiceState](a, http.StatusOK, call{role: Viewer, method: "GET", path: "/services"})
	states := map[string]string{}
	for _, s := range all {
		states[s.Name] = s.State + " " + s.Why
	}
	if len(all) != len(config.ServiceKinds()) || states["ssh"] != "active " || states["snmp"] != "failed exit-code" || states["nsca"] != "absent " {
		t.Errorf("services: %v", states)
	}
	must[struct{}](a, http.StatusNoContent, call{role: Admin, method: "POST", path: "/services/snmp/restart"})
	if !slices.Equal(m.restarted, []string{"snmpd.service"}) {
		t.Errorf("restarted %v", m.restarted)
	}
	if w := a.do(call{role: Admin, method: "POST", path: "/services/esos/restart"}); w.Code != http.StatusNotFound {
		t.Errorf("restart of what is no service: %d", w.Code)
	}
	m.fail = errors.New("it failed (exit-code)")
	if w := a.do(call{role: Admin, method: "POST", path: "/services/snmp/restart"}); w.Code != http.StatusConflict || !strings.Contains(w.Body.String(), "exit-code") {
		t.Errorf("a restart that fails: %d %s", w.Code, w.Body)
	}
}
