package lio

import (
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/host/kernfs/words"
)

// port is a target port group of a device, as the kernel has it.
type port struct {
	id        int
	state     string
	preferred bool
	members   map[string]bool // LUNs of portal groups
}

// deviceGroups tells the target port groups of all devices in the words of
// their groups. A device or target that is not in the group as its words say is
// left out, which the next plan mends.
func (o *observer) deviceGroups(devices []served) ([]config.DeviceGroup, error) {
	said, err := words.All[config.DeviceGroup](o.words.Store, "groups")
	if err != nil {
		return nil, err
	}
	ports := map[string]map[string]port{} // by device and name
	for _, d := range devices {
		if ports[d.Name], err = o.ports(d.at); err != nil {
			return nil, err
		}
	}
	known := map[string]bool{}
	var out []config.DeviceGroup
	for _, g := range said {
		known[g.Name] = true
		out = append(out, o.deviceGroup(g, ports))
	}
	for _, d := range devices {
		for name := range ports[d.Name] {
			group, tg, ours := strings.Cut(name, ":")
			if !ours {
				group, tg = name, name // made by hand: a group of its own
			}
			if known[group] {
				continue
			}
			i := slices.IndexFunc(out, func(g config.DeviceGroup) bool { return g.Name == group })
			if i < 0 {
				out = append(out, config.DeviceGroup{Name: group})
				i = len(out) - 1
			}
			if !slices.Contains(out[i].Devices, d.Name) {
				out[i].Devices = append(out[i].Devices, d.Name)
			}
			if !slices.ContainsFunc(out[i].TargetGroups, func(t config.TargetGroup) bool { return t.Name == tg }) {
				p := ports[d.Name][name]
				out[i].TargetGroups = append(out[i].TargetGroups, config.TargetGroup{Name: tg, ID: p.id, State: p.state, Preferred: p.preferred})
			}
		}
	}
	return out, nil
}

func (o *observer) ports(device string) (map[string]port, error) {
	names, err := o.k.list(path.Join(device, "alua"))
	if err != nil {
		return nil, err
	}
	ports := map[string]port{}
	for _, name := range names {
		if name == defaultPortGroup {
			continue
		}
		r := reader{k: o.k, at: path.Join(device, "alua", name)}
		p := port{state: "unknown", members: map[string]bool{}}
		if n, err := strconv.Atoi(r.text("tg_pt_gp_id")); err == nil {
			p.id = n
		}
		code := r.text("alua_access_state")
		for state, c := range stateCodes() {
			if c == code {
				p.state = state
			}
		}
		p.preferred = r.text("preferred") == "1"
		for _, m := range strings.Fields(r.text("members")) {
			if lun, ok := memberPath(m); ok {
				p.members[lun] = true
			}
		}
		if r.err != nil {
			return nil, r.err
		}
		ports[name] = p
	}
	return ports, nil
}

// deviceGroup is a group as its devices have it.
func (o *observer) deviceGroup(said config.DeviceGroup, ports map[string]map[string]port) config.DeviceGroup {
	g := said.Clone()
	prefix := said.Name + ":"
	g.Devices = nil
	for _, d := range said.Devices {
		complete := ports[d] != nil
		for _, tg := range said.TargetGroups {
			p, there := ports[d][prefix+tg.Name]
			complete = complete && there && p.id == tg.ID
		}
		if complete {
			g.Devices = append(g.Devices, d)
		}
	}
	for d, has := range ports { // devices that are in it and should not be
		for name := range has {
			if strings.HasPrefix(name, prefix) && !slices.Contains(said.Devices, d) && !slices.Contains(g.Devices, d) {
				g.Devices = append(g.Devices, d)
			}
		}
	}
	for i := range g.TargetGroups {
		tg := &g.TargetGroups[i]
		for _, d := range g.Devices {
			p, there := ports[d][prefix+tg.Name]
			if !there {
				continue
			}
			if p.state != tg.WithDefaults().State {
				tg.State = p.state
			}
			if p.preferred != tg.Preferred {
				tg.Preferred = p.preferred
			}
		}
		tg.Targets = slices.DeleteFunc(tg.Targets, func(t config.GroupTarget) bool {
			return t.RelativeID == 0 && slices.ContainsFunc(o.exports, func(x export) bool {
				d := path.Base(x.device)
				return x.target == t.Name && slices.Contains(g.Devices, d) && !ports[d][prefix+tg.Name].members[x.lun]
			})
		})
	}
	return g
}
