package user

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/host/accounts"
	"github.com/esos-project/esos/internal/layer"
	"github.com/esos-project/esos/internal/plan"
)

var update = flag.Bool("update", false, "write golden files anew")

// machine is a host with users.
type machine struct {
	accounts map[string]accounts.Account
	groups   map[string]int
	homes    map[string]int // files
	err      error          // of List
	fail     int            // the change that fails, counted down
}

var errFault = errors.New("the machine does not want to")

func (m *machine) List() (accounts.Listing, error) {
	return accounts.Listing{Accounts: maps.Clone(m.accounts), Groups: maps.Clone(m.groups)}, m.err
}

func (m *machine) Home(name string) (int64, int, error) {
	return int64(m.homes[name]) * 1024, m.homes[name], nil
}

func (m *machine) fault() error {
	if m.fail--; m.fail == 0 {
		return errFault
	}
	return nil
}

func (m *machine) Put(_ context.Context, want accounts.Account) error {
	if err := m.fault(); err != nil {
		return err
	}
	if have := m.accounts[want.Name]; want.Hash == "" {
		if want.Hash = have.Hash; want.Hash == "" {
			want.Hash = "!"
		}
	}
	m.accounts[want.Name] = want
	return nil
}

func (m *machine) Remove(_ context.Context, name string, _ int) error {
	if err := m.fault(); err != nil {
		return err
	}
	delete(m.accounts, name)
	return nil
}

func (m *machine) RemoveHome(name string) error {
	delete(m.homes, name)
	return m.fault()
}

func (m *machine) clone() *machine {
	return &machine{accounts: maps.Clone(m.accounts), groups: maps.Clone(m.groups), homes: maps.Clone(m.homes)}
}

const (
	hash    = "$6$saltsaltsalt$aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	annKey  = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHbEI06MtD0Gle5nYJ4vWaaFwKppmQVnXDgXmyDP/c+K ann@desk"
	hisKey  = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIMStmPMqa34wjUa4qfw+wy7GNOmsFpRhH85JK7hdVOtM bob@desk"
	annsUID = 7001
)

// fresh is a machine after its first boot: root cannot log in, admin can.
func fresh() *machine {
	return &machine{
		accounts: map[string]accounts.Account{
			"root":  {Name: "root", Hash: "*"},
			"disk":  {Name: "disk", UID: 6, Hash: "*"},
			"admin": {Name: "admin", UID: 1000, FullName: "Administrator", Hash: hash, Groups: []string{accounts.Sudo, accounts.Logs}},
			"tape":  {Name: "tape", UID: 1003, Hash: "!"},
		},
		groups: map[string]int{"root": 0, "operator": 37, "admin": 1000},
		homes:  map[string]int{},
	}
}

// staff is a document with an admin and an operator.
func staff() *config.Document {
	return &config.Document{Version: config.Version, Name: "a", Users: []config.Account{
		{Name: "ann", Role: "admin", UID: annsUID, FullName: "Ann Example", Password: hash, SSHKeys: []string{annKey}},
		{Name: "bob", Role: "operator", UID: 7002, SSHKeys: []string{hisKey}},
	}}
}

func planned(t *testing.T, m *machine, inForce, declared *config.Document, destroy ...string) *plan.Plan {
	t.Helper()
	seen := &layer.Observed{InForce: inForce, Destroy: destroy}
	l := Layer{Machine: m}
	if err := l.Observe(t.Context(), declared, seen); err != nil {
		t.Fatal(err)
	}
	var b plan.Builder
	b.Layer()
	l.Plan(declared, seen, &b)
	p, err := b.Plan()
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// serving is a machine on which staff is in force.
func serving(t *testing.T) *machine {
	t.Helper()
	m := fresh()
	if _, err := (plan.Runner{}).Run(t.Context(), planned(t, m, nil, staff())); err != nil {
		t.Fatal(err)
	}
	return m
}

// cases are edits of staff; the golden file is the plan. Carried out, nothing
// must be left to do.
func cases() []testCase {
	edit := func(f func(d *config.Document)) *config.Document { d := staff(); f(d); return d }
	return []testCase{
		{name: "first", first: true, declared: staff()},
		{name: "unchanged", declared: staff()},
		{name: "role", declared: edit(func(d *config.Document) { d.Users[1].Role = "admin" })},
		{name: "demoted", declared: edit(func(d *config.Document) {
			d.Users[1].Role, d.Users[0].Role, d.Users[0].FullName = "admin", "viewer", ""
		})},
		{name: "locked", declared: edit(func(d *config.Document) { d.Users[1].Locked = true })},
		{name: "keys", declared: edit(func(d *config.Document) { d.Users[1].SSHKeys = []string{annKey, hisKey} })},
		{name: "password", declared: edit(func(d *config.Document) { d.Users[1].Password = hash })},
		{name: "no-password", declared: edit(func(d *config.Document) { d.Users[0].Password = "*" })},
		{name: "password-left-to-passwd", declared: edit(func(d *config.Document) { d.Users[0].Password = "" })},
		{name: "adopt-admin", declared: edit(func(d *config.Document) {
			d.Users = append(d.Users, config.Account{Name: "admin", Role: "admin", UID: 1000})
		})},
		{name: "remove", declared: edit(func(d *config.Document) { d.Users = d.Users[:1] })},
		{name: "remove-with-home", homes: map[string]int{"bob": 12}, declared: edit(func(d *config.Document) { d.Users = d.Users[:1] })},
		{name: "destroy-home", homes: map[string]int{"bob": 12}, destroy: []string{"user/bob"}, declared: edit(func(d *config.Document) { d.Users = d.Users[:1] })},
		{name: "remove-all", declared: edit(func(d *config.Document) { d.Users = nil })},
		{name: "by-hand", tamper: func(m *machine) {
			a := m.accounts["bob"]
			a.Groups, a.Keys = append(a.Groups, accounts.Sudo), nil
			m.accounts["bob"] = a
		}, declared: staff()},
		// Refused.
		{name: "system-user", declared: edit(func(d *config.Document) { d.Users[1].Name = "disk" }), refused: true},
		{name: "foreign-user", declared: edit(func(d *config.Document) { d.Users[1].Name = "tape" }), refused: true},
		{name: "taken-number", declared: edit(func(d *config.Document) { d.Users[1].Name, d.Users[1].UID = "eve", 1003 }), refused: true},
		{name: "system-group", declared: edit(func(d *config.Document) { d.Users[1].Name, d.Users[1].UID = "operator", 7003 }), refused: true},
		{name: "unreadable", tamper: func(m *machine) { m.err = errFault }, declared: edit(func(d *config.Document) { d.Users[1].Locked = true }), refused: true},
		{name: "last-admin", tamper: func(m *machine) { delete(m.accounts, "admin") }, declared: edit(func(d *config.Document) { d.Users = d.Users[1:] }), refused: true},
		{name: "last-admin-locked", tamper: func(m *machine) { delete(m.accounts, "admin") }, declared: edit(func(d *config.Document) { d.Users[0].Locked = true }), refused: true},
		{name: "last-admin-without-a-way-in", tamper: func(m *machine) { delete(m.accounts, "admin") }, declared: edit(func(d *config.Document) {
			d.Users[0].Password, d.Users[0].SSHKeys = "*", nil
		}), refused: true},
	}
}

type testCase struct {
	name     string
	first    bool // nothing is in force
	declared *config.Document
	homes    map[string]int
	destroy  []string
	tamper   func(m *machine)
	refused  bool
}

func (c testCase) machine(t *testing.T) (*machine, *config.Document) {
	m, inForce := serving(t), staff()
	if c.first {
		m, inForce = fresh(), nil
	}
	if c.homes != nil {
		m.homes = maps.Clone(c.homes)
	}
	if c.tamper != nil {
		c.tamper(m)
	}
	return m, inForce
}

func TestPlans(t *testing.T) {
	for _, c := range cases() {
		t.Run(c.name, func(t *testing.T) {
			m, inForce := c.machine(t)
			p := planned(t, m, inForce, c.declared, c.destroy...)
			golden(t, c.name, p.Text(c.destroy))
			if refused := len(p.Problems) > 0; refused != c.refused {
				t.Errorf("problems %v, want refused=%v", p.Problems, c.refused)
			}
			if c.refused {
				return
			}
			before := m.clone()
			if _, err := (plan.Runner{}).Run(t.Context(), p); err != nil {
				t.Fatal(err)
			}
			if left := planned(t, m, c.declared, c.declared); !left.Empty() {
				t.Errorf("still to do:\n%s", left.Text(nil))
			}
			if diff := cmp.Diff(before.accounts["tape"], m.accounts["tape"]); diff != "" {
				t.Errorf("a user whom ESOS did not make was touched:\n%s", diff)
			}
		})
	}
}

// Each change fails once: what was there before is there again, and the next
// apply gets to what is declared.
func TestFaults(t *testing.T) {
	for _, c := range cases() {
		if c.refused {
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			for k := 1; ; k++ {
				m, inForce := c.machine(t)
				old := m.clone()
				p := planned(t, m, inForce, c.declared, c.destroy...)
				if k > len(p.Steps) {
					return
				}
				m.fail = k
				_, err := plan.Runner{}.Run(t.Context(), p)
				if !errors.Is(err, errFault) {
					t.Fatalf("change %d failed, and the plan says %v", k, err)
				}
				if diff := cmp.Diff(old.accounts, m.accounts, cmp.Transformer("hash", func(h accounts.Hash) string { return string(h) })); diff != "" {
					t.Errorf("change %d failed; not undone:\n%s", k, diff)
				}
				again := planned(t, m, inForce, c.declared, c.destroy...)
				if _, err := (plan.Runner{}).Run(t.Context(), again); err != nil {
					t.Fatal(err)
				}
				if left := planned(t, m, c.declared, c.declared); !left.Empty() {
					t.Errorf("after change %d failed, the next apply leaves:\n%s", k, left.Text(nil))
				}
			}
		})
	}
}

// A document without users, in force before and after, leaves even those alone
// that ESOS once made: a lost document must not shut everybody out.
func TestNoUsersDeclared(t *testing.T) {
	m := serving(t)
	none := &config.Document{Version: config.Version, Name: "a"}
	if p := planned(t, m, none, none); !p.Empty() || len(p.Problems) > 0 {
		t.Errorf("planned:\n%s", p.Text(nil))
	}
	if p := planned(t, m, nil, none); !p.Empty() {
		t.Errorf("planned before the first document:\n%s", p.Text(nil))
	}
}

// What was declared before with the same words and cannot be had now must not
// keep the rest from being served.
func TestDeclaredBefore(t *testing.T) {
	m := serving(t)
	m.err = errFault
	p := planned(t, m, staff(), staff())
	if len(p.Problems) > 0 || len(p.Notes) != 2 || !p.Notes[0].Degraded {
		t.Errorf("problems %v, notes %v", p.Problems, p.Notes)
	}
}

func TestSecretsAreNotTold(t *testing.T) {
	for _, c := range cases() {
		m, inForce := c.machine(t)
		p := planned(t, m, inForce, c.declared, c.destroy...)
		if text := fmt.Sprintf("%+v %#v %s", p, p, p.Text(nil)); strings.Contains(text, hash[10:40]) {
			t.Errorf("%s: the plan tells a hash", c.name)
		}
	}
	if text := fmt.Sprintf("%v %+v %#v %q %x", serving(t).accounts, serving(t).accounts, serving(t).accounts, accounts.Hash(hash), accounts.Hash(hash)); strings.Contains(text, hash[10:40]) {
		t.Error("an account tells its hash")
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name+".txt")
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", file, diff)
	}
}
