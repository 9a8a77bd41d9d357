package nvmet

import (
	"cmp"
	"path/filepath"
	"slices"
	"strings"

	"github.com/esos-project/esos/internal/config"
)

// State is what the kernel serves over NVMe-oF.
type State struct {
	Ports       []Port
	Subsystems  []Subsystem
	Controllers []Controller
	// Tells says that the kernel tells who is connected: otherwise there may be
	// more than Controllers.
	Tells bool
}

// Port is an address. Fields with a key are what a document says about it.
type Port struct {
	ID            int    `yaml:"-"`
	Transport     string `yaml:"transport"`
	Address       string `yaml:"address"` // config.NVMePort.Canonical
	InCapsuleSize int    `yaml:"in_capsule_size"`
	ANA           []ANA  `yaml:"ana_groups"` // group 1 first, which always is there
	// Links are the subsystems that are reached there.
	Links []string `yaml:"-"`
	Ours  bool     `yaml:"-"`
}

// ANA is an access state.
type ANA struct {
	Name  string `yaml:"id"`
	State string `yaml:"state"`
}

// Subsystem is what hosts connect to.
type Subsystem struct {
	NQN          string      `yaml:"-"`
	Serial       string      `yaml:"serial"`
	Model        string      `yaml:"model"`
	AllowAnyHost bool        `yaml:"allow_any_host"`
	Hosts        []Host      `yaml:"hosts"`
	Namespaces   []Namespace `yaml:"-"`
	Ours         bool        `yaml:"-"`
}

// Host may connect.
type Host struct {
	NQN     string        `yaml:"nqn"`
	Key     config.Secret `yaml:"dhchap_key"`
	CtrlKey config.Secret `yaml:"dhchap_ctrl_key"`
	Hash    string        `yaml:"dhchap_hash"`
	DHGroup string        `yaml:"dhchap_dhgroup"`
}

// Namespace is a device as hosts see it.
type Namespace struct {
	NSID         int    `yaml:"-"`
	Path         string `yaml:"path"` // absolute
	UUID         string `yaml:"uuid"`
	NGUID        string `yaml:"nguid"`
	Buffered     bool   `yaml:"buffered_io"`
	ANAGroup     int    `yaml:"ana_group"`
	Reservations bool   `yaml:"reservations"`
	Enabled      bool   `yaml:"enabled"`
	// Size is what hosts were told, 0 if that is not known.
	Size int64 `yaml:"-"`
}

// Controller is a host that is connected to a subsystem.
type Controller struct {
	Subsystem string
	ID        int
	Host      string // its NQN
	Address   string // the host's, where the kernel tells it
	Port      int
	State     string
}

// PortOf is a port as the document wants it.
func PortOf(p config.NVMePort) (Port, error) {
	address, err := p.Canonical()
	if err != nil {
		return Port{}, err
	}
	want := Port{ID: p.ID, Transport: p.Transport, Address: address, InCapsuleSize: p.InCapsuleSize, ANA: []ANA{{"1", "optimized"}}}
	for _, g := range p.ANAGroups {
		if g.ID == 1 {
			want.ANA[0].State = g.State
			continue
		}
		want.ANA = append(want.ANA, ANA{number(g.ID), g.State})
	}
	sortANA(want.ANA)
	return want, nil
}

func sortANA(groups []ANA) {
	slices.SortFunc(groups, func(a, b ANA) int {
		return cmp.Or(cmp.Compare(len(a.Name), len(b.Name)), strings.Compare(a.Name, b.Name))
	})
}

// DefaultModel is the model number of a subsystem without one.
const DefaultModel = "ESOS"

// SubsystemOf is a subsystem as the document wants it, without its namespaces.
func SubsystemOf(s config.NVMeSubsystem) Subsystem {
	want := Subsystem{NQN: s.NQN, Serial: s.Serial, Model: cmp.Or(s.Model, DefaultModel), AllowAnyHost: s.AllowAnyHost}
	for _, h := range s.Hosts {
		want.Hosts = append(want.Hosts, Host{NQN: h.NQN, Key: h.DHCHAPKey, CtrlKey: h.DHCHAPCtrlKey,
			Hash: cmp.Or(h.DHCHAPHash, "sha256"), DHGroup: h.DHCHAPDHGroup})
	}
	sortHosts(want.Hosts)
	return want
}

func sortHosts(hosts []Host) {
	slices.SortFunc(hosts, func(a, b Host) int { return strings.Compare(a.NQN, b.NQN) })
}

// NamespaceOf is a namespace as the document wants it; relative paths of
// devices are below dataDir.
func NamespaceOf(ns config.NVMeNamespace, d config.Device, dataDir string) Namespace {
	path := d.Path
	if !filepath.IsAbs(path) {
		path = filepath.Join(dataDir, path)
	}
	return Namespace{NSID: ns.NSID, Path: path, UUID: strings.ToLower(ns.UUID), NGUID: strings.ToLower(ns.NGUID),
		Buffered: d.Handler == config.FileIO && !d.ODirect, ANAGroup: max(ns.ANAGroup, 1), Reservations: ns.Reservations, Enabled: true}
}
