// Package user is the layer of people who log in to the machine: at its
// console, over SSH, and with a role at the daemon's socket.
package user

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/host/accounts"
	"github.com/esos-project/esos/internal/layer"
	"github.com/esos-project/esos/internal/plan"
)

// Machine is the part of the host that this layer works with
// (accounts.Machine).
type Machine interface {
	List() (accounts.Listing, error)
	Home(name string) (bytes int64, files int, err error)
	Put(ctx context.Context, want accounts.Account) error
	Remove(ctx context.Context, name string, uid int) error
	RemoveHome(name string) error
}

// Layer plans users.
type Layer struct{ Machine Machine }

// patience is how long the system's own programs may take for one user.
const patience = time.Minute

// Name is user.
func (Layer) Name() string { return "user" }

// Declares says whether a document has anything for this layer.
func Declares(d *config.Document) bool { return len(d.Users) > 0 }

// idle says whether neither the document nor the one before it has users: then
// those of the machine are none of ours.
func idle(declared *config.Document, seen *layer.Observed) bool {
	return !Declares(declared) && (seen.InForce == nil || !Declares(seen.InForce))
}

// Observe reads the machine's users.
func (l Layer) Observe(ctx context.Context, declared *config.Document, seen *layer.Observed) error {
	if idle(declared, seen) {
		return nil
	}
	u := &seen.Accounts
	if u.Listing, u.Err = l.Machine.List(); u.Err != nil {
		return ctx.Err()
	}
	u.Homes = map[string]layer.Home{}
	for _, a := range leaving(declared, u.Listing) {
		bytes, files, err := l.Machine.Home(a.Name)
		if err != nil {
			u.Err = err
			break
		}
		u.Homes[a.Name] = layer.Home{Bytes: bytes, Files: files}
	}
	return ctx.Err()
}

// leaving are the accounts of ours that are not declared, by name.
func leaving(declared *config.Document, all accounts.Listing) []accounts.Account {
	var gone []accounts.Account
	for _, name := range slices.Sorted(maps.Keys(all.Accounts)) {
		a := all.Accounts[name]
		isDeclared := slices.ContainsFunc(declared.Users, func(u config.Account) bool { return u.Name == name })
		if a.Ours && !isDeclared {
			gone = append(gone, a)
		}
	}
	return gone
}

// Plan makes, changes and removes users.
func (l Layer) Plan(declared *config.Document, seen *layer.Observed, b *plan.Builder) {
	if idle(declared, seen) {
		return
	}
	if err := seen.Accounts.Err; err != nil {
		for _, u := range declared.Users {
			seen.Refuse(b, object(u.Name), u, "%v", err)
		}
		return
	}
	all := seen.Accounts.Listing
	if locksOut(declared, all) {
		b.Problem("user", "nobody could administer this machine any more: no user with the role admin is left who has a password or an SSH key and is not locked, "+
			"nor anybody else with a password who may sudo; declare one first")
		return
	}
	for _, u := range declared.Users {
		l.declared(u, seen, b)
	}
	for _, a := range leaving(declared, all) {
		l.gone(a, seen, b)
	}
}

func object(name string) string { return "user/" + name }

// declared brings one user to what is declared.
func (l Layer) declared(u config.Account, seen *layer.Observed, b *plan.Builder) {
	have, there := seen.Accounts.Accounts[u.Name]
	holder := seen.Accounts.ByUID(u.UID)
	group, grouped := seen.Accounts.Groups[u.Name]
	switch {
	case there && have.UID < 1000:
		seen.Refuse(b, object(u.Name), u, "%s is a user of the system itself (number %d); choose another name", u.Name, have.UID)
		return
	case there && have.UID != u.UID:
		seen.Refuse(b, object(u.Name), u, "there is a user %s on this machine whom ESOS did not make, with the number %d; write uid: %d to take that user over, or choose another name", u.Name, have.UID, have.UID)
		return
	case !there && holder != nil:
		seen.Refuse(b, object(u.Name), u, "the number %d is user %s's on this machine; write another uid", u.UID, holder.Name)
		return
	case !there && grouped && group != u.UID:
		seen.Refuse(b, object(u.Name), u, "there is a group %s on this machine already, which is none of a user; choose another name", u.Name)
		return
	}
	want := account(u)
	changes := differences(have, want)
	if there && have.Ours && len(changes) == 0 {
		return
	}
	step := plan.Step{
		Layer: l.Name(), Object: object(u.Name), Action: plan.Change, Phase: layer.Machine, Changes: changes,
		Do:   func(ctx context.Context, _ plan.Report) error { return l.put(ctx, want) },
		Undo: func(ctx context.Context) error { return l.put(ctx, have) },
	}
	switch {
	case !there:
		step.Action, step.Changes = plan.Create, nil
		step.Sentence = fmt.Sprintf("Make user %s (%s), who %s", u.Name, u.Role, way(want))
		step.Undo = func(ctx context.Context) error { return l.remove(ctx, u.Name, u.UID) }
	case !have.Ours:
		step.Sentence = fmt.Sprintf("Take over user %s (%s), who is on this machine already", u.Name, u.Role)
	default:
		step.Sentence = fmt.Sprintf("Change user %s (%s)", u.Name, u.Role)
	}
	if there && (want.Expired && !have.Expired || have.Has(accounts.Sudo) && !want.Has(accounts.Sudo)) {
		step.Disrupts = "the user's sessions end"
	}
	b.Add(step)
}

// gone removes a user who is not declared any more.
func (l Layer) gone(a accounts.Account, seen *layer.Observed, b *plan.Builder) {
	remove := plan.Step{
		Layer: l.Name(), Object: object(a.Name), Action: plan.Delete, Phase: layer.Machine,
		Sentence: fmt.Sprintf("Remove user %s", a.Name), Disrupts: "the user's sessions end",
		Do:   func(ctx context.Context, _ plan.Report) error { return l.remove(ctx, a.Name, a.UID) },
		Undo: func(ctx context.Context) error { return l.put(ctx, a) },
	}
	b.Add(remove)
	home := seen.Accounts.Homes[a.Name]
	what := fmt.Sprintf("/home/%s (%d files, %s)", a.Name, home.Files, config.Size(home.Bytes))
	switch {
	case home.Files == 0:
	case slices.Contains(seen.Destroy, object(a.Name)):
		b.Add(plan.Step{
			ID:    plan.ID("delete home of " + object(a.Name)),
			Layer: l.Name(), Object: object(a.Name), Action: plan.Delete, Phase: plan.Final,
			Sentence: "Delete what user " + a.Name + " left", Destroys: what + " is deleted",
			Needs: []plan.ID{plan.StepID(plan.Delete, remove.Object)},
			Do:    func(context.Context, plan.Report) error { return l.Machine.RemoveHome(a.Name) },
		})
	default:
		b.Note(object(a.Name), "%s stays until the next reboot, which ends all that is in /home; --destroy %s deletes it now", what, object(a.Name))
	}
}

func (l Layer) put(ctx context.Context, a accounts.Account) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return l.Machine.Put(ctx, a)
}

func (l Layer) remove(ctx context.Context, name string, uid int) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return l.Machine.Remove(ctx, name, uid)
}

// way says how a user logs in.
func way(a accounts.Account) string {
	var with []string
	if a.Hash.Opens() {
		with = append(with, "a password")
	}
	switch n := len(a.Keys); {
	case n == 1:
		with = append(with, "an SSH key")
	case n > 1:
		with = append(with, fmt.Sprintf("%d SSH keys", n))
	}
	switch {
	case a.Expired:
		return "is locked"
	case len(with) == 0:
		return "cannot log in yet: there is neither a password nor a key"
	}
	return "logs in with " + strings.Join(with, " or ")
}
