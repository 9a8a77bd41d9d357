package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/esos-project/esos/internal/alert"
	v1 "github.com/esos-project/esos/internal/api/v1"
)

// Alerts are what needs somebody: *alert.Board.
type Alerts interface {
	Active() []alert.Alert
}

// noAlerts is of an array whose machine nobody watches.
type noAlerts struct{}

func (noAlerts) Active() []alert.Alert { return nil }

type alertsOutput struct {
	Body []v1.Alert
}

// alerting are the routes that tell what needs somebody.
func (s *Server) alerting() {
	huma.Register(s.huma, operation(Viewer, http.MethodGet, "/alerts", "listAlerts", "state", "List the active alerts, the gravest first"),
		func(context.Context, *nothing) (*alertsOutput, error) {
			return &alertsOutput{append([]v1.Alert{}, s.activeAlerts()...)}, nil
		})
}

func (s *Server) activeAlerts() []v1.Alert {
	var all []v1.Alert
	for _, a := range s.alerts.Active() {
		all = append(all, v1.Alert{ID: a.ID, Severity: string(a.Severity), Object: a.Object, Message: a.Message, Since: a.Since})
	}
	return all
}
