package daemon

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/user"
	"strconv"
	"strings"
	"time"

	"github.com/esos-project/esos/internal/alert"
	"github.com/esos-project/esos/internal/api"
	"github.com/esos-project/esos/internal/appliance"
	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/host"
	"github.com/esos-project/esos/internal/host/accounts"
	"github.com/esos-project/esos/internal/host/clock"
	"github.com/esos-project/esos/internal/host/units"
)

// shareSocket lets the users of an appliance connect to the daemon's socket.
// What they may do there is the document's to say.
func shareSocket(ctx context.Context, o Options, socket string) {
	if !o.InMemory {
		return // it is this user's and root's alone
	}
	err := share(ctx, socket)
	if err != nil {
		o.Log.Warn("only root can use the daemon's socket", "err", err)
	}
}

func share(ctx context.Context, socket string) error {
	g, err := user.LookupGroup(accounts.Users)
	if err != nil {
		// The image has it, but settings of an older one may lack it.
		if err := host.Run(ctx, "", "groupadd", "--system", accounts.Users); err != nil {
			return fmt.Errorf("share the socket %s: %w", socket, err)
		}
		if g, err = user.LookupGroup(accounts.Users); err != nil {
			return fmt.Errorf("share the socket %s: %w", socket, err)
		}
	}
	gid, err := strconv.Atoi(g.Gid)
	if err != nil {
		return fmt.Errorf("share the socket %s: group %s has the number %q", socket, g.Name, g.Gid)
	}
	if err := os.Chown(socket, -1, gid); err != nil {
		return fmt.Errorf("share the socket %s: %w", socket, err)
	}
	if err := os.Chmod(socket, 0o660); err != nil {
		return fmt.Errorf("share the socket %s: %w", socket, err)
	}
	return nil
}

// machineParts gives the API the parts of a machine that is ESOS's own.
func machineParts(o Options, a api.Options) api.Options {
	if o.InMemory {
		a.Clock, a.Services = clock.Machine{Units: units.Systemd{}}, units.Systemd{}
	}
	return a
}

// serviceRules is the rule about services that are to run and do not.
func serviceRules(o Options, app *appliance.Appliance) []alert.Rule {
	if !o.InMemory {
		return nil
	}
	return []alert.Rule{&services{app: app, units: units.Systemd{}, log: o.Log, raised: map[string]bool{}}}
}

// services watches the services that the document has switched on.
type services struct {
	app interface {
		Document(ctx context.Context) (*config.Document, appliance.Revision, error)
	}
	units interface {
		Look(ctx context.Context, names ...string) ([]units.Unit, error)
	}
	log    *slog.Logger
	raised map[string]bool
}

// serviceLook is how long systemd may take to answer.
const serviceLook = 10 * time.Second

// Check implements alert.Rule.
func (s *services) Check(ctx context.Context, b *alert.Board) error {
	doc, _, err := s.app.Document(ctx)
	if err != nil {
		return err
	}
	var names []string
	byUnit := map[string]string{}
	for _, d := range doc.Services {
		if kind := config.KindOfService(d.Name); d.Enabled && kind != nil {
			names = append(names, kind.Units[0])
			byUnit[kind.Units[0]] = d.Name
		}
	}
	failed := map[string]bool{}
	if len(names) > 0 {
		ctx, cancel := context.WithTimeout(ctx, serviceLook)
		defer cancel()
		found, err := s.units.Look(ctx, names...)
		if err != nil {
			return fmt.Errorf("look whether services run: %w", err)
		}
		for _, u := range found {
			if u.Active != "failed" {
				continue
			}
			name := byUnit[u.Name]
			failed[name] = true
			s.raised[name] = true
			b.Raise(alert.Alert{ID: serviceAlert(name), Severity: alert.Warning, Object: "service/" + name,
				Message: fmt.Sprintf("service %s failed (%s); 'journalctl -u %s' shows what it said, 'esos service restart %s' tries again", name, u.Result, strings.TrimSuffix(u.Name, ".service"), name)})
		}
	}
	for name := range s.raised {
		if !failed[name] {
			delete(s.raised, name)
			b.Clear(serviceAlert(name), "service.ok", "it runs again, or is not to run")
		}
	}
	return nil
}

func serviceAlert(name string) string { return "service.failed." + name }
