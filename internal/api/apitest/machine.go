package apitest

import (
	"context"
	"errors"
	"maps"
	"sync"
	"time"

	"github.com/esos-project/esos/internal/api"
	"github.com/esos-project/esos/internal/appliance"
	"github.com/esos-project/esos/internal/host/accounts"
	"github.com/esos-project/esos/internal/host/clock"
	"github.com/esos-project/esos/internal/host/msmtp"
	"github.com/esos-project/esos/internal/host/units"
)

// Machine is the clock, the users and the services of a machine that is
// ESOS's own. snmp runs when it is started; corosync fails.
type Machine struct {
	mu       sync.Mutex
	clock    clock.Settings
	now      time.Time
	accounts map[string]accounts.Account
	homes    map[string]int
	units    map[string]units.Unit
}

// NewMachine makes one.
func NewMachine() *Machine {
	return &Machine{
		clock: clock.Settings{Timezone: "UTC", Sync: true},
		now:   time.Date(2026, 11, 28, 9, 30, 0, 0, time.UTC),
		accounts: map[string]accounts.Account{
			"root":  {Name: "root", Hash: "*"},
			"admin": {Name: "admin", UID: 1000, FullName: "Administrator", Hash: "$6$s$h", Groups: []string{accounts.Sudo, accounts.Logs}},
		},
		homes: map[string]int{"bob": 3},
		units: map[string]units.Unit{"ssh.service": {File: "enabled", Active: "active"}},
	}
}

// System is what the appliance sets up.
func (m *Machine) System() appliance.System {
	return appliance.System{Clock: machineClock{m}, Users: machineUsers{m}, Services: machineServices{m}, Mail: &machineMail{}}
}

// Clock is what the API asks for the time.
func (m *Machine) Clock() api.Clock { return machineClock{m} }

// Services is what the API asks for services.
func (m *Machine) Services() api.Services { return machineServices{m} }

// Home counts the files that a user has.
func (m *Machine) Home(name string) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.homes[name]
}

type machineClock struct{ *Machine }

func (m machineClock) Settings(context.Context) (clock.Settings, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.clock, nil
}

func (machineClock) HasTimezone(name string) bool { return name == "Europe/Berlin" || name == "UTC" }

func (m machineClock) Set(_ context.Context, want clock.Settings) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.clock = want
	return nil
}

func (m machineClock) State(context.Context) (clock.State, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.now
	if m.clock.Timezone == "Europe/Berlin" {
		now = now.In(time.FixedZone("CET", 60*60))
	}
	return clock.State{Time: now, Timezone: m.clock.Timezone, Sync: m.clock.Sync}, nil
}

func (m machineClock) SetTime(_ context.Context, t time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.now = t.UTC()
	return nil
}

type machineUsers struct{ *Machine }

func (m machineUsers) List() (accounts.Listing, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return accounts.Listing{Accounts: maps.Clone(m.accounts)}, nil
}

func (m machineUsers) Home(name string) (int64, int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return int64(m.homes[name]) << 10, m.homes[name], nil
}

func (m machineUsers) Put(_ context.Context, want accounts.Account) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if want.Hash == "" {
		want.Hash = m.accounts[want.Name].Hash
	}
	m.accounts[want.Name] = want
	return nil
}

func (m machineUsers) Remove(_ context.Context, name string, _ int) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.accounts, name)
	return nil
}

func (m machineUsers) RemoveHome(name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.homes, name)
	return nil
}

type machineServices struct{ *Machine }

func (machineServices) Starting(context.Context) (bool, error) { return false, nil }

func (m machineServices) Look(_ context.Context, names ...string) ([]units.Unit, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var all []units.Unit
	for _, n := range names {
		u, ok := m.units[n]
		if !ok {
			u = units.Unit{File: "disabled", Active: "inactive"}
		}
		u.Name = n
		all = append(all, u)
	}
	return all, nil
}

func (m machineServices) change(names []string, change func(u *units.Unit)) error {
	found, err := m.Look(context.Background(), names...)
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, u := range found {
		change(&u)
		m.units[u.Name] = u
	}
	return err
}

func (m machineServices) Enable(_ context.Context, names ...string) error {
	return m.change(names, func(u *units.Unit) { u.File = "enabled" })
}

func (m machineServices) Disable(_ context.Context, names ...string) error {
	return m.change(names, func(u *units.Unit) { u.File = "disabled" })
}

func (m machineServices) Start(_ context.Context, names ...string) error {
	var failed error
	err := m.change(names, func(u *units.Unit) {
		if u.Active = "active"; u.Name == "corosync.service" {
			u.Active = "failed"
			failed = errors.New("start " + u.Name + ": it failed (exit-code)")
		}
	})
	return errors.Join(err, failed)
}

func (m machineServices) Restart(ctx context.Context, names ...string) error {
	return m.Start(ctx, names...)
}

func (m machineServices) Stop(_ context.Context, names ...string) error {
	return m.change(names, func(u *units.Unit) { u.Active = "inactive" })
}

// machineMail is how programs of a machine send mail.
type machineMail struct {
	mu    sync.Mutex
	files msmtp.Files
}

func (m *machineMail) Read() (msmtp.Files, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.files, nil
}

func (m *machineMail) Write(f msmtp.Files) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.files = f
	return nil
}
