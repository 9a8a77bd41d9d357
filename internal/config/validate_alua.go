package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

func (c *checker) checkDeviceGroups() {
	names, owner := map[string]int{}, map[string]string{}
	own := map[int]string{}
	for _, t := range c.doc.Targets {
		for _, id := range t.RelativeIDs {
			own[id] = t.Name
		}
	}
	for i, g := range c.doc.DeviceGroups {
		at := fmt.Sprintf("device_groups[%d]", i)
		c.name(at+".name", g.Name)
		c.unique(names, at+".name", "device_groups", g.Name, i)
		for j, d := range g.Devices {
			dat := fmt.Sprintf("%s.devices[%d]", at, j)
			if _, ok := c.devices[d]; !ok {
				c.error(dat, "no device %q%s", clip(d), nearest(d, slices.Sorted(maps.Keys(c.devices))))
			}
			if other, ok := owner[d]; ok {
				c.error(dat, "device %q is already in device group %q; it can be in one only", clip(d), other)
			}
			owner[d] = g.Name
		}
		c.checkTargetGroups(at, g, own)
	}
}

func (c *checker) checkTargetGroups(at string, g DeviceGroup, own map[int]string) {
	names, ids, members := map[string]int{}, map[int]string{}, map[string]string{}
	for i, tg := range g.TargetGroups {
		tat := fmt.Sprintf("%s.target_groups[%d]", at, i)
		c.name(tat+".name", tg.Name)
		c.unique(names, tat+".name", at+".target_groups", tg.Name, i)
		switch other, taken := ids[tg.ID]; {
		case tg.ID < 1 || tg.ID > 65535:
			c.error(tat+".id", "must be 1 to 65535, not %d", tg.ID)
		case taken:
			c.error(tat+".id", "%d is already the id of target group %q", tg.ID, other)
		}
		ids[tg.ID] = tg.Name
		for j, t := range tg.Targets {
			mat := fmt.Sprintf("%s.targets[%d]", tat, j)
			if other, ok := members[t.Name]; ok {
				c.error(mat+".name", "target %q is already in target group %q of this device group", clip(t.Name), other)
			}
			members[t.Name] = tg.Name
			_, here := c.targets[t.Name]
			switch {
			case t.RelativeID < 0 || t.RelativeID > 65535:
				c.error(mat+".relative_id", "must be 1 to 65535, not %d", t.RelativeID)
			case t.RelativeID == 0 && !here:
				c.error(mat+".name", "no target %q%s; one of the peer node needs a relative_id", clip(t.Name),
					nearest(t.Name, slices.Sorted(maps.Keys(c.targets))))
			case t.RelativeID != 0 && own[t.RelativeID] != "":
				c.error(mat+".relative_id", "%d is already used by target %q of this array", t.RelativeID, clip(own[t.RelativeID]))
			}
		}
	}
}

func (c *checker) checkAPI() {
	a := c.doc.API
	if a.Listen != "" {
		c.listenAddress("api.listen", a.Listen)
	}
	if (a.Cert == "") != (a.Key == "") {
		c.error("api.cert", "cert and key belong together; give both or none")
	}
	names := map[string]int{}
	for i, u := range a.Users {
		at := fmt.Sprintf("api.users[%d]", i)
		c.name(at+".name", u.Name)
		c.unique(names, at+".name", "api.users", u.Name, i)
		if u.Role == "" {
			c.error(at+".role", "missing; it must be admin, operator or viewer")
		}
		if u.Password != "" && !strings.HasPrefix(string(u.Password), "$argon2id$") {
			c.error(at+".password", "must be an argon2id hash in PHC form; set one with: esos user set %s", clip(u.Name))
		}
		tokens := map[string]int{}
		for j, t := range u.Tokens {
			tat := fmt.Sprintf("%s.tokens[%d]", at, j)
			c.name(tat+".name", t.Name)
			c.unique(tokens, tat+".name", at+".tokens", t.Name, j)
			if len(t.Hash) != 64 || strings.Trim(string(t.Hash), "0123456789abcdef") != "" {
				c.error(tat+".hash", "must be the SHA-256 of the token, 64 hex digits; make one with: esos token create")
			}
		}
	}
	if a.Listen != "" && len(a.Users) == 0 {
		c.warn("api.users", "nobody can log in to the API over TCP without a user")
	}
}
