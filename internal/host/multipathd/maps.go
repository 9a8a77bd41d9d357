// Package multipathd is the gate to multipath-tools: which disks are reached by
// several paths and how those are, by multipathd's own answer, and its
// configuration (multipath.conf(5)), which ESOS writes whole.
package multipathd

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/esos-project/esos/internal/host"
)

// Map is a disk whose paths are gathered.
type Map struct {
	Name  string `json:"name"` // its path is /dev/mapper/NAME
	WWID  string `json:"wwid"`
	DM    string `json:"dm"` // the kernel's name: dm-3
	Paths []Path `json:"paths"`
	// Queueing is what becomes of I/O while no path works: "on" and "12 chk"
	// keep it, "off" fails it.
	Queueing string `json:"queueing,omitempty"`
}

// Path is one way to a disk.
type Path struct {
	Disk    string `json:"disk"`  // the kernel's name: sdb
	State   string `json:"state"` // multipathd's word: ready, ghost (stand-by), faulty, shaky, ...
	Device  string `json:"device_state"`
	Kernel  string `json:"kernel_state"` // active or failed
	Through string `json:"through,omitempty"`
}

// Works says whether I/O can go this way. A stand-by controller of an array
// takes none now, and will when the others fail.
func (p Path) Works() bool {
	return p.Kernel != "failed" && p.Device != "offline" && (p.State == "ready" || p.State == "ghost" || p.State == "shaky" || p.State == "delayed")
}

// answer is that of `multipathd show maps json` (libmultipath/print.c).
type answer struct {
	Major int `json:"major_version"`
	Maps  []struct {
		Name     string `json:"name"`
		UUID     string `json:"uuid"`
		Sysfs    string `json:"sysfs"`
		Queueing string `json:"queueing"`
		Groups   []struct {
			Paths []struct {
				Dev     string `json:"dev"`
				DM      string `json:"dm_st"`
				State   string `json:"dev_st"`
				Checker string `json:"chk_st"`
				Target  string `json:"target_wwnn"`
				Adapter string `json:"host_adapter"`
			} `json:"paths"`
		} `json:"path_groups"`
	} `json:"maps"`
}

// Runner runs programs (host.Linux).
type Runner interface {
	Output(ctx context.Context, c host.Call) ([]byte, error)
}

// patience is how long multipathd may take to answer: it waits for its own
// checks of paths.
const patience = 30 * time.Second

// Maps asks multipathd for the disks that it gathers.
func Maps(ctx context.Context, m Runner) ([]Map, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	out, err := m.Output(ctx, host.Call{Name: "multipathd", Args: []string{"show", "maps", "json"}})
	if err != nil {
		return nil, fmt.Errorf("ask multipathd for its maps: %w", err)
	}
	maps, err := parse(out)
	if err != nil {
		return nil, fmt.Errorf("ask multipathd for its maps: %w", err)
	}
	return maps, nil
}

// parse reads multipathd's answer. It says "fail" and "timeout" in words.
func parse(text []byte) ([]Map, error) {
	if i := strings.IndexByte(string(text), '{'); i < 0 {
		return nil, fmt.Errorf("it answered %.100q", text)
	}
	var a answer
	if err := json.Unmarshal(text, &a); err != nil {
		return nil, fmt.Errorf("its answer: %w", err)
	}
	if a.Major != 0 {
		return nil, fmt.Errorf("its answer is of version %d, which is not known", a.Major)
	}
	var maps []Map
	for _, m := range a.Maps {
		found := Map{Name: m.Name, WWID: m.UUID, DM: m.Sysfs, Queueing: m.Queueing}
		for _, g := range m.Groups {
			for _, p := range g.Paths {
				path := Path{Disk: p.Dev, State: p.Checker, Device: p.State, Kernel: p.DM}
				if p.Target != "" && p.Target != "[undef]" {
					path.Through = p.Target
				}
				found.Paths = append(found.Paths, path)
			}
		}
		slices.SortFunc(found.Paths, func(a, b Path) int { return strings.Compare(a.Disk, b.Disk) })
		maps = append(maps, found)
	}
	slices.SortFunc(maps, func(a, b Map) int { return strings.Compare(a.Name, b.Name) })
	return maps, nil
}
