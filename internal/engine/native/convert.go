package native

import (
	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/engine/native/control"
)

// The functions of this file say the same in the words of the document
// (config) and of the protocol (control): ...Out on the way to the process,
// ...In on the way back.

func deviceOut(d config.Device) control.Device {
	return control.Device{
		Name: d.Name, Handler: string(d.Handler), Path: d.Path, Size: int64(d.Size), BlockSize: d.BlockSize,
		Thin:         d.Handler == config.FileIO && d.Provisioning != config.Thick,
		WriteThrough: d.WriteThrough, ODirect: d.ODirect, ReadOnly: d.ReadOnly,
		Removable: d.Removable, Rotational: d.Rotational, Identity: control.Identity(d.Identity),
	}
}

func deviceIn(d control.Device) config.Device {
	out := config.Device{
		Name: d.Name, Handler: config.Handler(d.Handler), Path: d.Path, Size: config.Size(d.Size), BlockSize: d.BlockSize,
		WriteThrough: d.WriteThrough, ODirect: d.ODirect, ReadOnly: d.ReadOnly,
		Removable: d.Removable, Rotational: d.Rotational, Identity: config.Identity(d.Identity),
	}
	if out.Handler == config.FileIO {
		out.Provisioning = config.Thick
		if d.Thin {
			out.Provisioning = config.Thin
		}
	}
	return out
}

func portalOut(p config.Portal) control.Portal {
	return control.Portal{Name: p.Name, Address: p.Address, Group: p.Group, Announce: p.Announce}
}

func authOut(a config.Auth) control.Auth {
	out := control.Auth{Algorithms: a.Algorithms}
	for _, u := range a.Users {
		out.Users = append(out.Users, userOut(u))
	}
	if a.Mutual != nil {
		m := userOut(*a.Mutual)
		out.Mutual = &m
	}
	return out
}

func authIn(a control.Auth) config.Auth {
	out := config.Auth{Algorithms: a.Algorithms}
	for _, u := range a.Users {
		out.Users = append(out.Users, userIn(u))
	}
	if a.Mutual != nil {
		m := userIn(*a.Mutual)
		out.Mutual = &m
	}
	return out
}

func userOut(u config.CHAPUser) control.User {
	return control.User{Name: u.Name, Secret: string(u.Secret), Initiators: u.Initiators}
}

func userIn(u control.User) config.CHAPUser {
	return config.CHAPUser{Name: u.Name, Secret: config.Secret(u.Secret), Initiators: u.Initiators}
}

func targetOut(t config.Target) control.Target {
	return control.Target{
		Name: t.Name, Alias: t.Alias, Disabled: t.Disabled, RelativeIDs: t.RelativeIDs, Portals: t.Portals,
		Auth: authOut(t.Auth), Parameters: control.Parameters(t.Parameters), Redirect: t.Redirect,
	}
}

func targetIn(t control.Target) config.Target {
	out := config.Target{
		Name: t.Name, Driver: config.DriverISCSI, Alias: t.Alias, Disabled: t.Disabled, RelativeIDs: t.RelativeIDs, Portals: t.Portals,
		Auth: authIn(t.Auth), Parameters: config.Parameters(t.Parameters), Redirect: t.Redirect, LUNs: lunsIn(t.LUNs),
	}
	for _, g := range t.Groups {
		out.Groups = append(out.Groups, config.Group{Name: g.Name, Initiators: g.Initiators, LUNs: lunsIn(g.LUNs)})
	}
	return out
}

func lunsIn(luns []control.LUN) []config.LUN {
	var out []config.LUN
	for _, l := range luns {
		out = append(out, config.LUN(l))
	}
	return out
}

func deviceGroupOut(g config.DeviceGroup) control.DeviceGroup {
	out := control.DeviceGroup{Name: g.Name, Devices: g.Devices}
	for _, tg := range g.TargetGroups {
		tg = tg.WithDefaults()
		w := control.TargetGroup{Name: tg.Name, ID: tg.ID, State: tg.State, Preferred: tg.Preferred}
		for _, t := range tg.Targets {
			w.Targets = append(w.Targets, control.GroupTarget(t))
		}
		out.TargetGroups = append(out.TargetGroups, w)
	}
	return out
}

func deviceGroupIn(g control.DeviceGroup) config.DeviceGroup {
	out := config.DeviceGroup{Name: g.Name, Devices: g.Devices}
	for _, tg := range g.TargetGroups {
		w := config.TargetGroup{Name: tg.Name, ID: tg.ID, State: tg.State, Preferred: tg.Preferred}
		for _, t := range tg.Targets {
			w.Targets = append(w.Targets, config.GroupTarget(t))
		}
		out.TargetGroups = append(out.TargetGroups, w)
	}
	return out
}
