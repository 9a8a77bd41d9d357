package wizards

import (
	"context"
	"fmt"
	"slices"
	"strings"

	v1 "github.com/esos-project/esos/internal/api/v1"
	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/password"
	"github.com/esos-project/esos/internal/tui/frame"
)

// newArray is what the wizard of the first boot asks for.
type newArray struct {
	desk *frame.Desk
	doc  *config.Document
	now  now

	setPassword     bool
	password, again string
	keys            string
	hash, apiHash   config.Secret // of password, made at the end

	setNetwork bool
	net        network

	setTime      bool
	zone         string
	ask          bool
	servers      string
	setMail      bool
	mail         config.Mail
	port, to     string
	mailPassword string
	tested       string // what became of the test mail
}

// firstBoot asks for what a new array needs to know, and has one change carry
// it out.
func firstBoot(d *frame.Desk) {
	type asked struct {
		now   now
		clock v1.ClockState
	}
	frame.Load(d, "Look at the array", func(ctx context.Context) (a asked, err error) {
		if a.now, err = look(ctx, d); err != nil {
			return a, err
		}
		a.clock, err = d.Client().Clock(ctx)
		return a, err
	}, func(a asked) { beginWith(d, a.now, a.clock).start() })
}

// beginWith fills the forms with what is so already. What is not set yet is
// proposed to be; but for the network, which works by itself or was set up so
// that somebody can sit here.
func beginWith(d *frame.Desk, n now, clock v1.ClockState) *flow {
	doc := n.doc
	w := &newArray{desk: d, doc: doc, now: n}
	admin, err := doc.FindUser(config.Administrator)
	w.setPassword = err != nil || admin.Password == ""
	if err == nil {
		w.keys = strings.Join(admin.SSHKeys, "\n")
	}
	w.net.fill(doc.Network)
	w.setTime = !doc.Clock.Declared()
	w.zone = doc.Clock.Timezone
	if w.zone == "" {
		w.zone = clock.Timezone
	}
	w.ask, w.servers = !doc.Clock.NTPDisabled, strings.Join(doc.Clock.NTP, " ")
	w.setMail = !doc.Mail.Declared()
	w.mail = doc.Mail.WithDefaults()
	w.to = strings.Join(w.mail.To, " ")
	if doc.Mail.Port != 0 {
		w.port = fmt.Sprint(doc.Mail.Port)
	}
	f := &flow{desk: d, title: "First boot", doc: doc, steps: []step{{form: w.passwordForm}, {form: w.networkForm}, {form: w.timeForm}, {form: w.mailForm}}, edit: w.edit}
	f.finish = w.finish
	return f
}

func (w *newArray) passwordForm() *frame.Form {
	shown := func() bool { return w.setPassword }
	return &frame.Form{Title: "password", Command: "esos account password admin",
		Intro: "The user admin logs in at this console, over SSH and to the API. Change the password that the array made up for itself.",
		Help:  "The password is kept as a hash, in the array's document: from then on every apply sets it, and passwd does not last. The console stops showing the first password.",
		Fields: []frame.Field{
			{Label: "Set the password", Yes: &w.setPassword, Hint: "Space leaves this step out: the password stays as it is."},
			{Label: "Password", Text: &w.password, Secret: true, Show: shown, Check: password.Check, Hint: fmt.Sprintf("%d characters at least. Several words are easier to remember than signs.", password.Least)},
			{Label: "Once more", Text: &w.again, Secret: true, Show: shown, Check: frame.Same(&w.password), Hint: "The same again."},
			{Label: "SSH keys", Lines: &w.keys, Show: shown, Hint: "Public keys that may log in as admin, one a line; they replace those that admin has. May stay empty."},
		}}
}

func (w *newArray) timeForm() *frame.Form {
	shown := func() bool { return w.setTime }
	return &frame.Form{Title: "time", Command: "esos clock set-timezone ZONE",
		Intro: "Logs and schedules are of no use with a wrong clock.",
		Help:  "The time zone is that of logs and shells. Without time servers of your own, those that DHCP names are asked, else Debian's.",
		Fields: []frame.Field{
			{Label: "Set the time", Yes: &w.setTime, Hint: "Space leaves this step out: the clock stays as it is."},
			{Label: "Time zone", Text: &w.zone, Show: shown, Check: zone, Hint: "Such as Europe/Berlin, America/New_York or UTC."},
			{Label: "Ask time servers", Yes: &w.ask, Show: shown, Hint: "Best so. Without, the clock is set by hand: esos clock set."},
			{Label: "Time servers", Text: &w.servers, Show: func() bool { return w.setTime && w.ask }, Check: frame.Each(timeServer), Hint: "Names or addresses, IPv4 or IPv6, with blanks between them. Empty: those of DHCP, else Debian's."},
		}}
}

func zone(s string) error {
	if s == "" {
		return frame.Needed(s)
	}
	return wrong(&config.Document{Clock: config.Clock{Timezone: s}}, "clock.timezone")
}

func timeServer(s string) error {
	return wrong(&config.Document{Clock: config.Clock{NTP: []string{s}}}, "clock.ntp[0]")
}

// edit makes the change that the steps up to one ask for.
func (w *newArray) edit(doc *config.Document, upTo int) error {
	if w.setPassword && w.hash != "" {
		w.editPassword(doc)
	}
	if w.setNetwork && upTo >= 1 {
		w.net.edit(&doc.Network)
	}
	if w.setTime && upTo >= 2 {
		doc.Clock = config.Clock{Timezone: w.zone, NTPDisabled: !w.ask}
		if w.ask {
			doc.Clock.NTP = frame.Words(w.servers)
		}
	}
	if w.setMail && upTo >= 3 {
		doc.Mail = w.mailSettings()
	}
	return nil
}

// editPassword gives the machine's administrator a password, and the API's
// user of that name if there is one, or nobody who may use it yet.
func (w *newArray) editPassword(doc *config.Document) {
	admin, err := doc.FindUser(config.Administrator)
	if err != nil {
		doc.Users = append(doc.Users, config.Account{Name: config.Administrator, Role: "admin"})
		admin = &doc.Users[len(doc.Users)-1]
	}
	admin.Password, admin.SSHKeys = w.hash, lines(w.keys)
	i := slices.IndexFunc(doc.API.Users, func(u config.APIUser) bool { return u.Name == config.Administrator })
	switch {
	case i >= 0:
		doc.API.Users[i].Password = w.apiHash
	case len(doc.API.Users) == 0:
		doc.API.Users = []config.APIUser{{Name: config.Administrator, Role: "admin", Password: w.apiHash}}
	}
}

// lines are those of a text that say something.
func lines(text string) []string {
	var all []string
	for l := range strings.Lines(text) {
		if l = strings.TrimSpace(l); l != "" {
			all = append(all, l)
		}
	}
	return all
}

// why is the change in a few words: the plan has the rest.
func (w *newArray) why() string {
	var parts []string
	for _, p := range []struct {
		set  bool
		what string
	}{{w.setPassword, "password"}, {w.setNetwork, "network"}, {w.setTime, "time"}, {w.setMail, "mail"}} {
		if p.set {
			parts = append(parts, p.what)
		}
	}
	return "first boot: " + strings.Join(parts, ", ")
}

// commands are those that do the same.
func (w *newArray) commands() []string {
	var all []string
	if w.setPassword {
		all = append(all, "account password admin", "user set admin --password")
	}
	if w.setNetwork {
		all = append(all, w.net.commands()...)
	}
	if w.setTime {
		all = append(all, "clock set-timezone "+w.zone,
			strings.TrimSpace("clock set-ntp "+map[bool]string{true: strings.Join(frame.Words(w.servers), " "), false: "--off"}[w.ask]))
	}
	if w.setMail {
		all = append(all, fmt.Sprintf("mail set --server %s --to %s", w.mail.Server, strings.Join(frame.Words(w.to), ",")))
	}
	return all
}

// finish shows the plan, after the passwords' hashes were made.
func (w *newArray) finish(first *frame.Form) {
	if !w.setPassword && !w.setNetwork && !w.setTime && !w.setMail {
		w.desk.Say("Nothing to do", "All steps were left out. Nothing was changed.")
		return
	}
	change := func() {
		w.desk.Change(frame.Change{Why: w.why(), From: first, Done: w.done, Edit: func(doc *config.Document) error { return w.edit(doc, 3) }})
	}
	if !w.setPassword {
		change()
		return
	}
	frame.Load(w.desk, "Hash the password", func(context.Context) ([2]string, error) {
		crypt, err := password.Crypt(w.password)
		if err != nil {
			return [2]string{}, err
		}
		hash, err := password.Hash(w.password)
		return [2]string{crypt, hash}, err
	}, func(hashes [2]string) {
		w.hash, w.apiHash = config.Secret(hashes[0]), config.Secret(hashes[1])
		change()
	})
}
