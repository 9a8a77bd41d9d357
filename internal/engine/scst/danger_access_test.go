package scst

import (
	"errors"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/host/kernfs/scstfake"
)

// login logs an initiator in, and returns its session's name.
func (b *bench) login(initiator string) string {
	b.Helper()
	name := b.kernel.Login("iscsi/"+iqn, scstfake.Session{Initiator: initiator, SID: "1", Address: "127.0.0.1"})
	if name == "" {
		b.Fatalf("the target does not let %s in", initiator)
	}
	return name
}

func accessDangers() []danger {
	return []danger{
		{name: "everybody sees the default map", test: func(b *bench) {
			b.serve()
			b.login(alice)
			b.sees(alice, map[int]string{}) // deny by default
			b.group("g", []string{bob}, config.LUN{LUN: 0, Device: "d0"})
			b.login(bob)
			b.sees(bob, map[int]string{0: "d0 rw"})
			b.sees(alice, map[int]string{})
		}},
		{name: "a session is bound to its group at login", test: func(b *bench) {
			b.serve()
			b.group("g", []string{alice}, config.LUN{LUN: 0, Device: "d0"})
			b.group("h", []string{bob}, config.LUN{LUN: 0, Device: "d1"})
			b.login(alice)
			b.login(bob)
			b.taken(tgt+"/ini_groups/g/initiators/mgmt", "del "+alice)
			b.sees(alice, map[int]string{0: "d0 rw"}) // as before
			b.taken(tgt+"/ini_groups/g/initiators/mgmt", "add "+alice)
			// Who is taken out of a group must not go on seeing its LUNs.
			b.ok(b.PutGroup(b.Context(), iqn, config.Group{Name: "g", Initiators: []string{"iqn.*:carol"}}))
			b.there(tgt+"/sessions/"+alice, false)
			b.sees(bob, map[int]string{0: "d1 rw"})
			// Who logged in before there was a group for it sees its LUNs then.
			b.login(alice)
			b.ok(b.PutGroup(b.Context(), iqn, config.Group{Name: "g", Initiators: []string{"iqn.*:CAROL", alice}}))
			b.there(tgt+"/sessions/"+alice, false)
			b.login(alice)
			b.sees(alice, map[int]string{0: "d0 rw"})
			b.there(tgt+"/sessions/"+bob, true)
		}},
		{name: "a session with LUNs of the default map stays", test: func(b *bench) {
			b.serve()
			b.ok(b.PutLUN(b.Context(), iqn, "", config.LUN{LUN: 0, Device: "d0"}))
			b.login(alice)
			b.group("g", []string{alice}, config.LUN{LUN: 0, Device: "d1"})
			b.sees(alice, map[int]string{0: "d0 rw"})
		}},
		{name: "a group that somebody is logged in through", o: scstfake.Options{Linger: 2}, test: func(b *bench) {
			b.serve()
			b.group("g", []string{alice}, config.LUN{LUN: 0, Device: "d0"})
			b.login(alice)
			b.login(bob)
			if err := b.kernel.WriteFile(tgt+"/ini_groups/mgmt", "del g"); !errors.Is(err, unix.EBUSY) {
				b.Fatalf("the imitation deletes it: %v", err)
			}
			b.ok(b.DeleteGroup(b.Context(), iqn, "g"))
			b.there(tgt+"/ini_groups/g", false)
			b.there(tgt+"/sessions/"+bob, true)
		}},
		{name: "a pattern with ! does not take away from the others", test: func(b *bench) {
			b.serve()
			b.taken(tgt+"/ini_groups/mgmt", "create g")
			b.taken(tgt+"/ini_groups/g/initiators/mgmt", "add iqn.*")
			b.taken(tgt+"/ini_groups/g/initiators/mgmt", "add !"+bob)
			b.taken(tgt+"/ini_groups/g/luns/mgmt", "add d0 0")
			b.login(bob)
			b.sees(bob, map[int]string{0: "d0 rw"}) // SCST lets him in all the same
			b.refused(b.PutGroup(b.Context(), iqn, config.Group{Name: "g", Initiators: []string{"iqn.*", "!" + bob}}), "!"+bob, "exception", "native")
			b.ok(b.PutGroup(b.Context(), iqn, config.Group{Name: "g", Initiators: []string{"!" + bob}}))
			b.there(tgt+"/sessions/"+bob, false)
		}},
		{name: "the last CHAP user opens the target", test: func(b *bench) {
			b.serve()
			target := config.Target{Name: iqn, RelativeIDs: map[int]int{1: 7}, Auth: config.Auth{Users: []config.CHAPUser{{Name: "old", Secret: "twelve-bytes-and-more"}}}}
			b.ok(b.PutTarget(b.Context(), target))
			b.reads(tgt+"/IncomingUser", "old twelve-bytes-and-more")
			target.Auth.Users[0] = config.CHAPUser{Name: "new", Secret: "twelve-bytes-and-more"}
			for n := 0; ; n++ {
				b.kernel.FailAfter(n)
				err := b.PutTarget(b.Context(), target)
				b.kernel.FailAfter(-1)
				in, look := b.credentials(b.Context(), tgt, incoming)
				if look != nil || len(in) == 0 {
					b.Fatalf("after %d requests nobody has to prove anything: %v", n, look)
				}
				if err == nil {
					break
				}
			}
			b.reads(tgt+"/IncomingUser1", "new twelve-bytes-and-more")
			target.Auth.Users[0].Secret = "another-of-twelve-bytes" // in place
			b.ok(b.PutTarget(b.Context(), target))
			b.reads(tgt+"/IncomingUser1", "new another-of-twelve-bytes")
			b.there(tgt+"/IncomingUser", false)
		}},
		{name: "numbered attributes", test: func(b *bench) {
			b.serve()
			target := config.Target{Name: iqn, RelativeIDs: map[int]int{1: 7}}
			for _, name := range strings.Fields("zulu yankee xray whiskey") {
				target.Auth.Users = append(target.Auth.Users, config.CHAPUser{Name: name, Secret: config.Secret(name + "-of-twelve-bytes")})
			}
			b.ok(b.PutTarget(b.Context(), target))
			b.reads(tgt+"/IncomingUser3", "whiskey whiskey-of-twelve-bytes")
			s, err := b.Observe(b.Context())
			b.ok(err)
			for i, u := range s.Targets[0].Auth.Users {
				if u.Name != target.Auth.Users[i].Name || u.Secret != target.Auth.Users[i].Secret {
					b.Errorf("user %d is %s", i, u.Name)
				}
			}
		}},
		{name: "newline or blank in a CHAP secret", test: func(b *bench) {
			for _, u := range []config.CHAPUser{
				{Name: "u", Secret: "twelve-bytes\n-and-more"}, {Name: "u", Secret: "twelve-bytes-and-more\n"}, {Name: "u", Secret: "twelve bytes and more"},
				{Name: "u v", Secret: "twelve-bytes-and-more"}, {Name: "u", Secret: "twelve=bytes-and-more"}, {Name: "u", Secret: "twelve;bytes-and-more"},
			} {
				a := config.Auth{Users: []config.CHAPUser{u}}
				b.refused(b.PutDiscovery(b.Context(), a), "another one", "native")
				b.refused(b.PutTarget(b.Context(), config.Target{Name: iqn, Auth: a}), "another one", "native")
			}
			b.refused(b.PutDiscovery(b.Context(), config.Auth{Users: []config.CHAPUser{{Name: "u", Secret: "short"}}}), "12 bytes")
		}},
		{name: "a read-only LUN is never writable", test: func(b *bench) {
			b.serve()
			l := config.LUN{LUN: 0, Device: "d0", ReadOnly: true}
			b.group("g", []string{alice}, l)
			if log := strings.Join(b.kernel.Requests(), "\n"); !strings.Contains(log, "luns/mgmt add d0 0 read_only=1") {
				b.Errorf("it is not mapped and protected in one request:\n%s", log)
			}
		}},
		{name: "no LUN 0", test: func(b *bench) {
			b.serve()
			b.group("g", []string{alice}, config.LUN{LUN: 100, Device: "d0"}) // some do that; warned of, not forbidden
			b.login(alice)
			b.sees(alice, map[int]string{100: "d0 rw"})
		}},
	}
}
