package hosts

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/tui/frame"
	"github.com/esos-project/esos/internal/tui/pick"
)

// discovery stands for the discovery sessions where a target's name can stand.
const discovery = "discovery"

// account is a row of the list.
type account struct {
	of, name   string
	initiators []string
	mutual     bool
}

// CHAP shows the accounts of a target, or of all and of discovery if it is "".
func CHAP(d *frame.Desk, of string) {
	title := "CHAP Accounts"
	if of != "" {
		title += " of " + of
	}
	on := func(do func(account)) func(frame.Row) {
		return func(r frame.Row) {
			a, ok := r.Value.(account)
			if !ok {
				a.of = of
			}
			do(a)
		}
	}
	d.List(&frame.List{Title: title, Command: "esos auth list",
		Help: "Initiators prove who they are by a name and a secret (one-way CHAP); with mutual CHAP the target proves who it is, too. " +
			"A target without accounts asks for no proof. Secrets are never shown.",
		Empty:   "There is no account: no target asks for a proof. Press a to add one.",
		Columns: []frame.Column{{Title: "of"}, {Title: "who proves it"}, {Title: "name"}, {Title: "algorithms"}, {Title: "only for", Wide: true}},
		Read: func(ctx context.Context) ([]frame.Row, error) {
			doc, err := d.Document(ctx)
			if err != nil {
				return nil, err
			}
			return accounts(doc, of), nil
		},
		Keys: []frame.RowKey{
			{Key: 's', Does: "new secret", Do: on(func(a account) { setAccount(d, a) })},
			{Key: 'a', Does: "add", Always: true, Do: on(func(a account) { setAccount(d, account{of: a.of}) })},
			{Key: 'm', Does: "mutual", Always: true, Do: on(func(a account) { setAccount(d, account{of: a.of, mutual: true}) })},
			{Key: 'g', Does: "algorithms", Do: on(func(a account) { algorithms(d, a.of) })},
			{Key: 'd', Does: "remove", Do: on(func(a account) { removeAccount(d, a) })},
		}})
}

func accounts(doc *config.Document, of string) []frame.Row {
	var rows []frame.Row
	add := func(name string, a config.Auth) {
		if of != "" && of != name {
			return
		}
		row := func(x account, who string) {
			rows = append(rows, frame.Row{ID: pick.Value(name, who, x.name, strings.Join(x.initiators, ",")), Value: x,
				Cells: []string{pick.Short(name), who, x.name, strings.Join(a.Algorithms, ","), strings.Join(x.initiators, ", ")}})
		}
		for _, u := range a.Users {
			row(account{of: name, name: u.Name, initiators: u.Initiators}, "initiator")
		}
		if a.Mutual != nil {
			row(account{of: name, name: a.Mutual.Name, mutual: true}, "target")
		}
	}
	add(discovery, doc.ISCSI.Discovery)
	for _, t := range doc.Targets {
		add(t.Name, t.Auth)
	}
	return rows
}

// auth finds who may log in to a target, or run discovery.
func auth(doc *config.Document, of string) (*config.Auth, error) {
	if of == discovery {
		return &doc.ISCSI.Discovery, nil
	}
	t, err := doc.FindTarget(of)
	if err != nil {
		return nil, err
	}
	return &t.Auth, nil
}

// asking are the targets that can ask for a proof, and discovery.
func asking(doc *config.Document) []frame.Option {
	o := []frame.Option{{Value: discovery, Cells: []string{discovery}}}
	for _, t := range pick.Targets(doc) {
		if f, err := doc.FindTarget(t.Value); err == nil && !f.Driver.Portals() {
			t.Why = "only iSCSI targets have CHAP; this one's driver is " + f.Driver.Human()
		}
		o = append(o, t)
	}
	return o
}

// setAccount asks for an account, or another secret of one.
func setAccount(d *frame.Desk, a account) {
	pick.WithServing(d, func(s pick.Serving) {
		old := a.name != ""
		var secret, again string
		only := strings.Join(a.initiators, ", ")
		f := &frame.Form{Title: "Add CHAP Account", Command: "esos auth add TARGET USER", Submit: "Set",
			Help: "The initiator is given the same name and secret. Secrets are kept on the array and never shown again."}
		if a.mutual {
			f.Title, f.Command = "Mutual CHAP", "esos auth mutual TARGET USER"
			f.Intro = "What the target proves to initiators that ask. Its secret must differ from those of the initiators."
		}
		if old {
			f.Title = "New Secret of " + a.name
		}
		f.Fields = []frame.Field{
			{Label: "Of", One: &a.of, Options: asking(s.Doc), Columns: pick.TargetColumns(), Check: frame.Needed, Show: func() bool { return !old },
				Hint: "The target that asks for it, or discovery: who may look for targets."},
			{Label: "Name", Text: &a.name, Show: func() bool { return !old }, Check: func(t string) error {
				switch have, err := auth(s.Doc, a.of); {
				case t == "" || len(t) > 255:
					return fmt.Errorf("1 to 255 characters")
				case err == nil && !a.mutual && slices.ContainsFunc(have.Users, func(u config.CHAPUser) bool { return u.Name == t }):
					return fmt.Errorf("%s is there already: s in the list gives it a new secret", t)
				case err == nil && a.mutual && len(have.Users) == 0:
					return fmt.Errorf("add an initiator's account first: a target proves itself only to one that proves itself, too")
				}
				return nil
			}, Hint: "CHAP name; many initiators take their own iSCSI name."},
			{Label: "Secret", Text: &secret, Secret: true, Check: checkSecret, Hint: "12 to 255 characters. It is not shown, here or anywhere."},
			{Label: "Again", Text: &again, Secret: true, Check: frame.Same(&secret), Hint: "The same once more."},
			{Label: "Only for", Text: &only, Show: func() bool { return !a.mutual }, Hint: "Names of initiators, with commas between; all if nothing is typed."},
		}
		f.Do = func() {
			made := config.CHAPUser{Name: a.name, Secret: config.Secret(secret)}
			args := []string{"auth", "add", a.of, a.name}
			if a.mutual {
				args[1] = "mutual"
			} else if made.Initiators = frame.Words(only); len(made.Initiators) > 0 {
				args = append(args, "--initiator", strings.Join(made.Initiators, ","))
			}
			d.Change(frame.Change{Why: pick.Command(args...), From: f, Edit: func(doc *config.Document) error { return putAccount(doc, a, made) }})
		}
		d.Form(f)
	})
}

func checkSecret(s string) error {
	if len(s) < 12 || len(s) > 255 {
		return fmt.Errorf("12 to 255 characters (RFC 7143 9.2.1 asks for at least 96 bits)")
	}
	if s == config.Hidden {
		return fmt.Errorf("that stands for a secret; choose another one")
	}
	return nil
}

// is says whether a user of the document is the one of an account.
func (a account) is(u config.CHAPUser) bool {
	return u.Name == a.name && slices.Equal(u.Initiators, a.initiators)
}

func putAccount(doc *config.Document, a account, made config.CHAPUser) error {
	of, err := auth(doc, a.of)
	if err != nil {
		return err
	}
	if a.mutual {
		of.Mutual = &made
		return nil
	}
	if i := slices.IndexFunc(of.Users, a.is); i >= 0 {
		of.Users[i] = made
		return nil
	}
	of.Users = append(of.Users, made)
	return nil
}

func removeAccount(d *frame.Desk, a account) {
	args := []string{"auth", "remove", a.of, a.name}
	if a.mutual {
		args = []string{"auth", "mutual", a.of, "--off"}
	}
	d.Change(frame.Change{Why: pick.Command(args...), Edit: func(doc *config.Document) error {
		of, err := auth(doc, a.of)
		if err != nil {
			return err
		}
		if a.mutual {
			of.Mutual = nil
			return nil
		}
		i := slices.IndexFunc(of.Users, a.is)
		if i < 0 {
			return fmt.Errorf("%s has no CHAP account %s any more", a.of, a.name)
		}
		of.Users = slices.Delete(of.Users, i, i+1)
		return nil
	}})
}

// algorithms asks for the CHAP algorithms of a target.
func algorithms(d *frame.Desk, name string) {
	pick.WithServing(d, func(s pick.Serving) {
		have, err := auth(s.Doc, name)
		if err != nil {
			d.Fail("Choose CHAP algorithms", err)
			return
		}
		chosen := slices.Clone(have.Algorithms)
		f := &frame.Form{Title: "CHAP Algorithms of " + pick.Short(name), Command: "esos auth algorithms TARGET ALGORITHM...", Submit: "Change",
			Fields: []frame.Field{{Label: "Algorithms", Many: &chosen, Options: frame.Options("SHA3-256", "SHA256", "SHA1", "MD5"),
				Hint: "Those that are allowed; all if none is chosen. Some initiators know MD5 only."}}}
		f.Do = func() {
			d.Change(frame.Change{Why: pick.Command(append([]string{"auth", "algorithms", name}, chosen...)...), From: f, Edit: func(doc *config.Document) error {
				of, err := auth(doc, name)
				if err != nil {
					return err
				}
				of.Algorithms = chosen
				return nil
			}})
		}
		d.Form(f)
	})
}
