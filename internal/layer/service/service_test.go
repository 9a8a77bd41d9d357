package service

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/host/units"
	"github.com/esos-project/esos/internal/layer/layertest"
	"github.com/esos-project/esos/internal/plan"
)

// machine is a host's systemd.
type machine struct {
	units    map[string]units.Unit
	starting bool
	err      error    // of looking
	broken   []string // units that fail when they are started
	fail     int      // the change that fails, counted down
	did      []string
}

var errFault = errors.New("systemd does not want to")

func newMachine() *machine {
	m := &machine{units: map[string]units.Unit{}}
	for _, k := range config.ServiceKinds() {
		for _, u := range k.Units {
			m.units[u] = units.Unit{Name: u, File: "disabled", Active: "inactive"}
		}
	}
	for _, u := range []string{"ssh.service", "cron.service", "rsyslog.service"} {
		m.units[u] = units.Unit{Name: u, File: "enabled", Active: "active"}
	}
	m.units["syslog.socket"] = units.Unit{Name: "syslog.socket", File: "static", Active: "active"}
	return m
}

func (m *machine) Starting(context.Context) (bool, error) { return m.starting, m.err }

func (m *machine) Look(_ context.Context, names ...string) ([]units.Unit, error) {
	var all []units.Unit
	for _, n := range names {
		all = append(all, m.units[n])
	}
	return all, m.err
}

func (m *machine) each(what string, names []string, change func(u *units.Unit)) error {
	if len(names) == 0 {
		return nil
	}
	m.did = append(m.did, what+" "+strings.Join(names, " "))
	if m.fail--; m.fail == 0 {
		return errFault
	}
	for _, n := range names {
		u := m.units[n]
		change(&u)
		m.units[n] = u
		if u.Active == "failed" {
			return errors.New("it failed")
		}
	}
	return nil
}

func (m *machine) Enable(_ context.Context, names ...string) error {
	return m.each("enable", names, func(u *units.Unit) {
		if u.File == "disabled" {
			u.File = "enabled"
		}
	})
}

func (m *machine) Disable(_ context.Context, names ...string) error {
	return m.each("disable", names, func(u *units.Unit) {
		if u.File == "enabled" {
			u.File = "disabled"
		}
	})
}

func (m *machine) Start(_ context.Context, names ...string) error {
	return m.each("start", names, func(u *units.Unit) {
		switch {
		case slices.Contains(m.broken, u.Name):
			u.Active = "failed"
		case len(u.Unmet) == 0 && !m.starting:
			u.Active = "active"
		}
	})
}

func (m *machine) Stop(_ context.Context, names ...string) error {
	return m.each("stop", names, func(u *units.Unit) { u.Active = "inactive" })
}

func planned(t *testing.T, m *machine, inForce, declared []config.Service) *plan.Plan {
	t.Helper()
	return layertest.Planned(t, Layer{Machine: m}, &config.Document{Services: declared}, &config.Document{Services: inForce})
}

func on(name string) []config.Service  { return []config.Service{{Name: name, Enabled: true}} }
func off(name string) []config.Service { return []config.Service{{Name: name}} }

func set(unit string, change func(u *units.Unit)) func(*machine) {
	return func(m *machine) {
		u := m.units[unit]
		change(&u)
		m.units[unit] = u
	}
}

// cases are documents; the text is the plan. Carried out, nothing must be left
// to do.
func cases() map[string]testCase {
	snmp := func(f func(u *units.Unit)) func(*machine) { return set("snmpd.service", f) }
	return map[string]testCase{
		"nothing":        {text: "no changes\n"},
		"as it is":       {declared: append(on("ssh"), off("snmp")...), text: "no changes\n"},
		"on":             {declared: on("snmp"), text: "~ Start service snmp (An SNMP agent (/etc/snmp/snmpd.conf))\n      enabled: false -> true\n"},
		"off":            {declared: off("cron"), text: "~ Stop service cron (Jobs at given times (/etc/cron.d, crontab))\n      enabled: true -> false\n"},
		"off with units": {declared: off("rsyslog"), text: "~ Stop service rsyslog (Logs in /var/log, and to another host)\n      enabled: true -> false\n"},
		"on with units":  {declared: on("multipath"), text: "~ Start service multipath (Disks reached on more than one path)\n      enabled: false -> true\n"},
		"no more ssh":    {declared: off("ssh"), text: "~ Stop service ssh (Logins over the network)\n      enabled: true -> false\n   !  nobody can log in over the network any more; the console is left\n"},
		"stopped by hand": {declared: on("snmp"), tamper: snmp(func(u *units.Unit) { u.File = "enabled" }),
			text: "~ Start service snmp (An SNMP agent (/etc/snmp/snmpd.conf))\n"},
		"started by hand": {declared: off("snmp"), tamper: snmp(func(u *units.Unit) { u.Active = "active" }),
			text: "~ Stop service snmp (An SNMP agent (/etc/snmp/snmpd.conf))\n"},
		"booting": {declared: on("snmp"), tamper: func(m *machine) {
			snmp(func(u *units.Unit) { u.File = "enabled" })(m)
			m.starting = true
		}, text: "no changes\n"},
		"declared while booting": {declared: on("snmp"), tamper: func(m *machine) { m.starting = true },
			text: "~ Start service snmp (An SNMP agent (/etc/snmp/snmpd.conf))\n      enabled: false -> true\n"},
		"ends by itself": {declared: on("snmp"), tamper: snmp(func(u *units.Unit) { u.File, u.Once = "enabled", true }), text: "no changes\n"},
		"not met": {declared: on("snmp"), tamper: snmp(func(u *units.Unit) {
			u.File, u.Unmet = "enabled", []string{"ConditionPathExists=/etc/snmp/snmpd.conf"}
		}), text: "  note: service/snmp: service snmp is on, and not started because of its condition ConditionPathExists=/etc/snmp/snmpd.conf\nno changes\n"},
		"failed": {declared: on("snmp"), tamper: snmp(func(u *units.Unit) { u.File, u.Active, u.Result = "enabled", "failed", "exit-code" }),
			text: "  note: service/snmp: service snmp failed (exit-code); 'journalctl -u snmpd.service' shows what it said, 'esos service restart snmp' tries again\nno changes\n"},
		"declared no more": {inForce: on("ssh"), text: "  note: service/ssh: service ssh stays as it is: it runs\nno changes\n"},
		"not there": {declared: on("snmp"), tamper: snmp(func(u *units.Unit) { u.File = "" }), refused: true,
			text: "  refused: service/snmp: this machine has no unit snmpd.service\n"},
		"masked": {declared: on("snmp"), tamper: snmp(func(u *units.Unit) { u.File = "masked" }), refused: true,
			text: "  refused: service/snmp: unit snmpd.service is masked, by hand; 'systemctl unmask snmpd.service' lets it be started\n"},
		"masked and off": {declared: off("snmp"), tamper: snmp(func(u *units.Unit) { u.File = "masked" }), text: "no changes\n"},
		"no systemd":     {declared: on("snmp"), tamper: func(m *machine) { m.err = errFault }, refused: true, text: "  refused: service/snmp: systemd does not want to\n"},
		"no systemd, declared before": {inForce: on("snmp"), declared: on("snmp"), tamper: func(m *machine) { m.err = errFault },
			text: "  note: service/snmp: systemd does not want to\nno changes\n"},
	}
}

type testCase struct {
	inForce, declared []config.Service
	tamper            func(*machine)
	refused           bool
	text              string
}

func (c testCase) machine() *machine {
	m := newMachine()
	if c.tamper != nil {
		c.tamper(m)
	}
	return m
}

func TestPlans(t *testing.T) {
	for name, c := range cases() {
		m := c.machine()
		p := planned(t, m, c.inForce, c.declared)
		text := p.Text(nil)
		if i := strings.LastIndex(text, "1 step:"); i >= 0 {
			text = text[:i]
		}
		if diff := cmp.Diff(c.text, text); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		if refused := len(p.Problems) > 0; refused != c.refused {
			t.Errorf("%s: problems %v", name, p.Problems)
		}
		if _, err := (plan.Runner{}).Run(t.Context(), p); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if left := planned(t, m, c.declared, c.declared); !left.Empty() {
			t.Errorf("%s: still to do:\n%s", name, left.Text(nil))
		}
	}
}

// Each change fails once: the units are as before, and the next apply gets to
// what is declared.
func TestFaults(t *testing.T) {
	for name, c := range cases() {
		for k := 1; ; k++ {
			m := c.machine()
			old := maps.Clone(m.units)
			m.fail = k
			_, err := plan.Runner{}.Run(t.Context(), planned(t, m, c.inForce, c.declared))
			if m.fail > 0 {
				break
			}
			if !errors.Is(err, errFault) {
				t.Errorf("%s: change %d failed, and the plan says %v", name, k, err)
			}
			if diff := cmp.Diff(old, m.units, cmp.AllowUnexported(units.Unit{})); diff != "" && !m.starting {
				t.Errorf("%s: change %d failed; not undone: %s", name, k, diff)
			}
			if _, err := (plan.Runner{}).Run(t.Context(), planned(t, m, c.inForce, c.declared)); err != nil {
				t.Errorf("%s: the next try: %v", name, err)
			}
			if left := planned(t, m, c.declared, c.declared); !left.Empty() {
				t.Errorf("%s: after change %d failed, the next apply leaves:\n%s", name, k, left.Text(nil))
			}
		}
	}
}

// A service that does not start is off again.
func TestBroken(t *testing.T) {
	m := newMachine()
	m.broken = []string{"corosync.service"}
	_, err := plan.Runner{}.Run(t.Context(), planned(t, m, nil, on("corosync")))
	if err == nil {
		t.Fatal("it was started")
	}
	if u := m.units["corosync.service"]; u.Enabled() || u.Running() {
		t.Errorf("left: %+v", u)
	}
}

// Sockets are stopped before what they would start again.
func TestOrder(t *testing.T) {
	m := newMachine()
	for _, u := range []string{"multipathd.service", "multipathd.socket"} {
		m.units[u] = units.Unit{Name: u, File: "enabled", Active: "active"}
	}
	if _, err := (plan.Runner{}).Run(t.Context(), planned(t, m, nil, off("multipath"))); err != nil {
		t.Fatal(err)
	}
	want := []string{"disable multipathd.service multipathd.socket", "stop multipathd.socket multipathd.service"}
	if diff := cmp.Diff(want, m.did); diff != "" {
		t.Error(diff)
	}
}
