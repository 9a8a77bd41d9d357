package config

import (
	"fmt"
	"strings"
	"testing"
)

// problemsOf are the errors of a document that is fine but for what edit does.
func problemsOf(edit func(d *Document)) string {
	d := &Document{Version: Version, Name: "a"}
	edit(d)
	if err := d.Validate().Err(); err != nil {
		return err.Error()
	}
	return ""
}

func TestClock(t *testing.T) {
	for _, zone := range []string{"", "UTC", "Europe/Berlin", "America/Argentina/Buenos_Aires", "Etc/GMT+12", "America/Port-au-Prince", "GB-Eire"} {
		if p := problemsOf(func(d *Document) { d.Clock.Timezone = zone }); p != "" {
			t.Errorf("%q: %s", zone, p)
		}
	}
	for _, zone := range []string{"/etc/shadow", "../shadow", "Europe/../../shadow", "Europe//Berlin", "Europe/", ".", "Europe/.x", "a b", "Zür/ich", strings.Repeat("a", 65), "-u", "a\nb"} {
		if p := problemsOf(func(d *Document) { d.Clock.Timezone = zone }); !strings.Contains(p, "clock.timezone") {
			t.Errorf("the time zone %q is taken (%s)", zone, p)
		}
	}
	for servers, bad := range map[string]bool{
		"192.0.2.1": false, "2001:db8::1": false, "ntp.example.com": false, "ntp.example.com.": false, "a b": false, "": false,
		"-ntp": true, "ntp_1.example.com": true, "a a": true, "A a": true, "http://ntp": true, "ntp,": true,
	} {
		p := problemsOf(func(d *Document) { d.Clock.NTP = strings.Fields(servers) })
		if bad != strings.Contains(p, "clock.ntp[") {
			t.Errorf("time servers %q: %q, want bad=%v", servers, p, bad)
		}
	}
	if p := problemsOf(func(d *Document) { d.Clock.NTP = []string{"a\nNTP=b"} }); p == "" {
		t.Error("a second line in systemd's file is taken")
	}
	if p := problemsOf(func(d *Document) { d.Clock = Clock{NTP: []string{"a"}, NTPDisabled: true} }); !strings.Contains(p, "clock.ntp_disabled") {
		t.Errorf("servers that are not asked: %q", p)
	}
}

const testKey = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHbEI06MtD0Gle5nYJ4vWaaFwKppmQVnXDgXmyDP/c+K ann@desk"

func TestUsers(t *testing.T) {
	good := func() Account {
		return Account{Name: "ann", Role: "admin", Password: Secret("$6$saltsalt$" + strings.Repeat("a", 86)), SSHKeys: []string{testKey}, FullName: "Ann Example"}
	}
	for name, c := range map[string]struct {
		edit func(u *Account)
		want string // in the problem; none when empty
	}{
		"good":               {func(*Account) {}, ""},
		"yescrypt":           {func(u *Account) { u.Password = Secret("$y$j9T$saltsaltsaltsalt$" + strings.Repeat("a", 43)) }, ""},
		"rounds":             {func(u *Account) { u.Password = Secret("$6$rounds=100000$salt$" + strings.Repeat("a", 86)) }, ""},
		"no password":        {func(u *Account) { u.Password = "*" }, ""},
		"left to passwd":     {func(u *Account) { u.Password = "" }, ""},
		"options of a key":   {func(u *Account) { u.SSHKeys = []string{`from="192.0.2.0/24" ` + testKey} }, ""},
		"dashes":             {func(u *Account) { u.Name = "ann-b_2" }, ""},
		"clear text":         {func(u *Account) { u.Password = "correct horse" }, "users[0].password"},
		"MD5":                {func(u *Account) { u.Password = Secret("$1$salt$" + strings.Repeat("a", 22)) }, "users[0].password"},
		"a second line":      {func(u *Account) { u.Password += "\nroot::0:0::" }, "users[0].password"},
		"a second field":     {func(u *Account) { u.Password += ":0" }, "users[0].password"},
		"placeholder":        {func(u *Account) { u.Password = Hidden }, "users[0].password"},
		"cut off":            {func(u *Account) { u.Password = u.Password[:50] }, "users[0].password"},
		"no name":            {func(u *Account) { u.Name = "" }, "users[0].name"},
		"root":               {func(u *Account) { u.Name = "root" }, "not for people"},
		"upper case":         {func(u *Account) { u.Name = "Ann" }, "users[0].name"},
		"option":             {func(u *Account) { u.Name = "-r" }, "users[0].name"},
		"a path":             {func(u *Account) { u.Name = "../ann" }, "users[0].name"},
		"dot":                {func(u *Account) { u.Name = "a.b" }, "users[0].name"},
		"digit first":        {func(u *Account) { u.Name = "1ann" }, "users[0].name"},
		"too long":           {func(u *Account) { u.Name = strings.Repeat("a", 33) }, "users[0].name"},
		"not ASCII":          {func(u *Account) { u.Name = "änn" }, "users[0].name"},
		"no role":            {func(u *Account) { u.Role = "" }, "users[0].role"},
		"role unknown":       {func(u *Account) { u.Role = "root" }, "users[0].role"},
		"number of a system": {func(u *Account) { u.UID = 0x3e7 }, "users[0].uid"},
		"number too large":   {func(u *Account) { u.UID = 60000 }, "users[0].uid"},
		"negative":           {func(u *Account) { u.UID = -1 }, "users[0].uid"},
		"full name":          {func(u *Account) { u.FullName = "Ann:x" }, "users[0].full_name"},
		"full name's line":   {func(u *Account) { u.FullName = "Ann\nx" }, "users[0].full_name"},
		"no key":             {func(u *Account) { u.SSHKeys = []string{"ann@desk"} }, "users[0].ssh_keys[0]"},
		"two keys in one":    {func(u *Account) { u.SSHKeys = []string{testKey + "\n" + testKey} }, "one line"},
		"the same key twice": {func(u *Account) { u.SSHKeys = []string{testKey, testKey} }, "users[0].ssh_keys[1]"},
		"private key":        {func(u *Account) { u.SSHKeys = []string{"-----BEGIN OPENSSH PRIVATE KEY-----"} }, "private key"},
	} {
		u := good()
		c.edit(&u)
		p := problemsOf(func(d *Document) { d.Users = []Account{u} })
		if c.want == "" && p != "" || !strings.Contains(p, c.want) {
			t.Errorf("%s: %q, want %q", name, p, c.want)
		}
		if strings.Contains(p, string(u.Password)) && u.Password != "" && u.Password != Hidden && u.Password != "*" {
			t.Errorf("%s: the problem tells the password: %s", name, p)
		}
	}
	if p := problemsOf(func(d *Document) { d.Users = []Account{good(), good()} }); !strings.Contains(p, "users[1].name") {
		t.Errorf("a name twice: %q", p)
	}
	if p := problemsOf(func(d *Document) {
		d.Users = []Account{{Name: "a", Role: "admin", UID: 5000}, {Name: "b", Role: "admin", UID: 5000}}
	}); !strings.Contains(p, "users[1].uid") {
		t.Errorf("a number twice: %q", p)
	}
}

// The numbers of users stay, come from the name alone, and are nobody else's.
func TestUserNumbers(t *testing.T) {
	doc := func(names ...string) *Document {
		d := &Document{Version: Version, Name: "a"}
		for _, n := range names {
			d.Users = append(d.Users, Account{Name: n, Role: "viewer"})
		}
		return d
	}
	complete := func(d, before *Document) *Document {
		t.Helper()
		if err := Complete(d, before); err != nil {
			t.Fatal(err)
		}
		return d
	}
	first := complete(doc("ann", "bob", Administrator), nil)
	ann, bob := first.Users[0].UID, first.Users[1].UID
	if ann < ownUIDs || ann > maxUID || ann == bob || first.Users[2].UID != administratorUID {
		t.Errorf("numbers: %+v", first.Users)
	}
	if elsewhere := complete(doc("bob", "ann"), nil); elsewhere.Users[1].UID != ann || elsewhere.Users[0].UID != bob {
		t.Errorf("on another array ann is %d, not %d", elsewhere.Users[1].UID, ann)
	}
	written := doc("ann")
	written.Users[0].UID = 1234
	if later := complete(doc("ann"), written); later.Users[0].UID != 1234 {
		t.Errorf("ann was 1234, and is %d", later.Users[0].UID)
	}
	// Somebody has the number that ann's name would lead to.
	taken := doc("ann", "eve")
	taken.Users[1].UID = ann
	if complete(taken, nil); taken.Users[0].UID == ann {
		t.Error("two users have one number")
	}
	many := make([]string, 2000)
	for i := range many {
		many[i] = fmt.Sprintf("user%d", i)
	}
	d := complete(doc(many...), nil)
	if err := d.Validate().Err(); err != nil {
		t.Errorf("2000 users: %v", err)
	}
	again := d.Clone()
	if complete(again, d); len(Diff(d, again)) > 0 {
		t.Error("completed twice, it is another document")
	}
}

func TestUsersAreClonedAndRestored(t *testing.T) {
	d := &Document{Version: Version, Name: "a", Users: []Account{{Name: "ann", Role: "admin", Password: "$6$x", SSHKeys: []string{testKey}}},
		Clock: Clock{NTP: []string{"a"}}, Services: []Service{{Name: "ssh", Enabled: true}}}
	c := d.Clone()
	c.Users[0].SSHKeys[0], c.Users[0].Role, c.Clock.NTP[0], c.Services[0].Enabled = "x", "viewer", "b", false
	if d.Users[0].SSHKeys[0] != testKey || d.Users[0].Role != "admin" || d.Clock.NTP[0] != "a" || !d.Services[0].Enabled {
		t.Error("a clone shares its parts")
	}
	now := &Document{Version: Version, Name: "a"}
	if back := d.Restored(now); len(back.Users) != 0 || len(back.Services) != 1 {
		t.Errorf("a rollback brings back %+v, %+v", back.Users, back.Services)
	}
	text, err := Marshal(d.Redacted())
	if err != nil || strings.Contains(string(text), "$6$") {
		t.Errorf("redacted (%v):\n%s", err, text)
	}
	read, err := Decode("", text)
	if err != nil {
		t.Fatal(err)
	}
	if read.KeepSecrets(d); read.Users[0].Password != "$6$x" {
		t.Errorf("the password that was not to change is %q", string(read.Users[0].Password))
	}
}

func TestServices(t *testing.T) {
	seen := map[string]bool{}
	last := ""
	for _, k := range ServiceKinds() {
		if p := problemsOf(func(d *Document) { d.Services = []Service{{Name: k.Name}} }); p != "" {
			t.Errorf("%s: %s", k.Name, p)
		}
		if k.Name <= last || k.Does == "" || strings.HasSuffix(k.Does, ".") || len(k.Units) == 0 || needed(k.Name) != "" {
			t.Errorf("service %+v after %s", k, last)
		}
		last = k.Name
		for _, u := range k.Units {
			if seen[u] || !strings.Contains(u, ".") || needed(u) != "" {
				t.Errorf("unit %s of %s", u, k.Name)
			}
			seen[u] = true
		}
	}
	for name, want := range map[string]string{
		"": "missing", "snmpd": `did you mean "snmp"`, "snmpd.service": `did you mean "snmp"`, "multipathd": `did you mean "multipath"`,
		"smartd": "smart", "telnet": "there are corosync, ", "esos": "ESOS needs it", "systemd-networkd": "the section network",
		"systemd-timesyncd.service": "the section clock", "dbus": "ESOS needs it",
	} {
		if p := problemsOf(func(d *Document) { d.Services = []Service{{Name: name, Enabled: true}} }); !strings.Contains(p, want) {
			t.Errorf("service %q: %q, want %q", name, p, want)
		}
	}
	if p := problemsOf(func(d *Document) { d.Services = []Service{{Name: "ssh"}, {Name: "ssh", Enabled: true}} }); !strings.Contains(p, "services[1].name") {
		t.Errorf("a service twice: %q", p)
	}
}
