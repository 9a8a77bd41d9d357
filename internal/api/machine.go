package api

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	v1 "github.com/esos-project/esos/internal/api/v1"
	"github.com/esos-project/esos/internal/config"
	hostclock "github.com/esos-project/esos/internal/host/clock"
	"github.com/esos-project/esos/internal/host/units"
)

// Clock is the machine's clock: clock.Machine.
type Clock interface {
	State(ctx context.Context) (hostclock.State, error)
	SetTime(ctx context.Context, t time.Time) error
}

// Services are the machine's services: units.Systemd.
type Services interface {
	Look(ctx context.Context, names ...string) ([]units.Unit, error)
	Restart(ctx context.Context, names ...string) error
}

type (
	clockOutput struct {
		Body v1.ClockState
	}
	clockInput struct {
		Body v1.ClockTime
	}
	servicesOutput struct {
		Body []v1.ServiceState
	}
)

// machine are the routes of the machine's clock and services as they are. What
// they should be is in the document.
func (s *Server) machine() {
	huma.Register(s.huma, operation(Viewer, http.MethodGet, "/clock", "getClock", "machine", "See the machine's clock"),
		func(ctx context.Context, _ *nothing) (*clockOutput, error) {
			c, err := s.clockNow(ctx)
			return &clockOutput{c}, err
		})
	huma.Register(s.huma, operation(Admin, http.MethodPost, "/clock/time", "setClock", "machine", "Set the machine's clock by hand, where no time server is asked"),
		func(ctx context.Context, in *clockInput) (*nothing, error) {
			return nil, s.setClock(ctx, in.Body.Time)
		})
	huma.Register(s.huma, operation(Viewer, http.MethodGet, "/services", "listServices", "machine", "List the machine's services as they are"),
		func(ctx context.Context, _ *nothing) (*servicesOutput, error) {
			all, err := s.servicesNow(ctx)
			return &servicesOutput{all}, err
		})
	huma.Register(s.huma, operation(Admin, http.MethodPost, "/services/{name}/restart", "restartService", "machine", "Stop a service and start it again"),
		func(ctx context.Context, _ *nothing) (*nothing, error) {
			return nil, s.restartService(ctx, at(ctx).name)
		})
}

// notOurs refuses what only an appliance has.
func notOurs(what string) error {
	return problem(http.StatusConflict, v1.ProblemConflict, fmt.Sprintf("this machine is not ESOS's own, and its %s no business of the array; only an appliance, booted from an ESOS medium, has it", what))
}

func (s *Server) clockNow(ctx context.Context) (v1.ClockState, error) {
	if s.clock == nil {
		return v1.ClockState{}, notOurs("clock")
	}
	c, err := s.clock.State(ctx)
	if err != nil {
		return v1.ClockState{}, answer(err)
	}
	return v1.ClockState{Time: c.Time, Timezone: c.Timezone, Sync: c.Sync, Synchronized: c.Synchronized, Server: c.Server}, nil
}

func (s *Server) setClock(ctx context.Context, t time.Time) error {
	c, err := s.clockNow(ctx)
	if err != nil {
		return err
	}
	if c.Sync {
		return problem(http.StatusConflict, v1.ProblemConflict, "the clock is set by time servers; have none asked first (clock.ntp_disabled, or 'esos clock set-ntp --off')")
	}
	if t.Year() < 2000 || t.Year() > 2100 {
		return problem(http.StatusUnprocessableEntity, v1.ProblemInvalid, fmt.Sprintf("%s is no time to set a clock to", t.Format(time.RFC3339)))
	}
	if err := s.clock.SetTime(ctx, t); err != nil {
		return answer(err)
	}
	return nil
}

func (s *Server) servicesNow(ctx context.Context) ([]v1.ServiceState, error) {
	if s.services == nil {
		return nil, notOurs("services")
	}
	doc, _, err := s.document(ctx)
	if err != nil {
		return nil, err
	}
	kinds := config.ServiceKinds()
	var names []string
	for _, k := range kinds {
		names = append(names, k.Units[0])
	}
	found, err := s.services.Look(ctx, names...)
	if err != nil {
		return nil, answer(err)
	}
	all := make([]v1.ServiceState, 0, len(kinds))
	for i, k := range kinds {
		u := found[i]
		w := v1.ServiceState{Name: k.Name, Does: k.Does, Units: k.Units, Enabled: u.Enabled(), State: u.Active}
		switch {
		case u.File == "":
			w.State = "absent"
		case u.Active == "failed":
			w.Why = u.Result
		case !u.Running() && len(u.Unmet) > 0:
			w.Why = strings.Join(u.Unmet, ", ")
		}
		if d, err := doc.FindService(k.Name); err == nil {
			w.Declared = map[bool]string{true: "on", false: "off"}[d.Enabled]
		}
		all = append(all, w)
	}
	return all, nil
}

func (s *Server) restartService(ctx context.Context, name string) error {
	if s.services == nil {
		return notOurs("services")
	}
	kind := config.KindOfService(name)
	if kind == nil {
		return answer(fmt.Errorf("service %q: %w", name, config.ErrNotFound))
	}
	ctx, cancel := context.WithTimeout(ctx, restartTime)
	defer cancel()
	if err := s.services.Restart(ctx, kind.Units[0]); err != nil {
		return problem(http.StatusConflict, v1.ProblemConflict, err.Error())
	}
	return nil
}

// restartTime is how long a service may take to stop and start.
const restartTime = 90 * time.Second

// permitMachine lets only admins change who logs in to the machine, its clock
// and its services.
func permitMachine(p principal, old, doc *config.Document) error {
	part := func(d *config.Document) config.Document {
		return config.Document{Users: d.Users, Clock: d.Clock, Services: d.Services}
	}
	if p.role >= Admin || len(config.Fields(part(old), part(doc))) == 0 {
		return nil
	}
	return problem(http.StatusForbidden, v1.ProblemDenied, fmt.Sprintf("%s is %s here; the machine's users, clock and services only an admin changes", p.name, p.role))
}

// permitSelf keeps users of the machine from shutting themselves out: nobody
// would be there to see to it.
func permitSelf(p principal, old, doc *config.Document) error {
	if p.account == "" {
		return nil
	}
	is := func(u config.Account) bool { return u.Name == p.account }
	was := slices.IndexFunc(old.Users, is)
	now := slices.IndexFunc(doc.Users, is)
	switch {
	case was < 0:
		return nil
	case now < 0:
		return selfError(p, "remove")
	case doc.Users[now].Locked && !old.Users[was].Locked:
		return selfError(p, "lock")
	case parseRole(doc.Users[now].Role) < parseRole(old.Users[was].Role):
		return selfError(p, "take a role from")
	}
	return nil
}

func selfError(p principal, what string) error {
	return problem(http.StatusForbidden, v1.ProblemDenied, fmt.Sprintf("you are %s, and this would %s yourself; have another admin do it", p.account, what))
}

// roleAtSocket finds the role of a user of the machine in the document. The
// number alone says nothing if the machine calls it by another name.
func (s *Server) roleAtSocket(uid int, name string) (Role, error) {
	users := s.accounts.Load()
	if users != nil {
		for _, u := range *users {
			if u.UID == uid && u.Name == name && !u.Locked {
				return parseRole(u.Role), nil
			}
		}
	}
	return Nobody, problem(http.StatusForbidden, v1.ProblemDenied, fmt.Sprintf("user %s (%d) may not use this socket: root may, and who has a role in the document (users); or ask for a token and use TCP", name, uid))
}
