package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	v1 "github.com/esos-project/esos/internal/api/v1"
	"github.com/esos-project/esos/internal/appliance"
	"github.com/esos-project/esos/internal/config"
)

type (
	networkOutput struct {
		Body v1.NetworkState
	}
	confirmInput struct {
		Body v1.NetworkConfirmation
	}
)

// network are the routes of the machine's network. What it is to be is in the
// document.
func (s *Server) network() {
	huma.Register(s.huma, operation(Viewer, http.MethodGet, "/network", "getNetwork", "network", "See the machine's network interfaces, and the change that waits to be confirmed"),
		func(ctx context.Context, _ *nothing) (*networkOutput, error) {
			n, err := s.networkNow(ctx)
			return &networkOutput{n}, err
		})
	huma.Register(s.huma, operation(Admin, http.MethodPost, "/network/confirm", "confirmNetwork", "network", "Keep the change of the network that waits to be confirmed"),
		func(ctx context.Context, in *confirmInput) (*nothing, error) {
			return nil, networkAnswer(s.app.ConfirmNetwork(ctx, in.Body.Revision, asker(ctx).name))
		})
	huma.Register(s.huma, operation(Admin, http.MethodPost, "/network/undo", "undoNetwork", "network", "Undo the change of the network that waits to be confirmed"),
		func(ctx context.Context, _ *nothing) (*nothing, error) {
			return nil, networkAnswer(s.app.UndoNetwork(ctx, asker(ctx).name))
		})
	huma.Register(s.huma, operation(Admin, http.MethodPost, "/network/restart", "restartNetwork", "network", "Set every network interface up anew"),
		func(ctx context.Context, _ *nothing) (*nothing, error) {
			return nil, networkAnswer(s.app.RestartNetwork(ctx))
		})
}

// networkAnswer tells what kept something from being done to the network.
func networkAnswer(err error) error {
	if errors.Is(err, appliance.ErrNothingUnconfirmed) || errors.Is(err, appliance.ErrNotInForce) || errors.Is(err, appliance.ErrNotOwner) {
		return problem(http.StatusConflict, v1.ProblemConflict, err.Error())
	}
	return answer(err)
}

func (s *Server) networkNow(ctx context.Context) (v1.NetworkState, error) {
	doc, _, err := s.document(ctx)
	if err != nil {
		return v1.NetworkState{}, err
	}
	links, err := s.app.Links()
	if err != nil {
		return v1.NetworkState{}, answer(err)
	}
	n := v1.NetworkState{Interfaces: []v1.Link{}, Unconfirmed: unconfirmedOf(s.app.Unconfirmed())}
	for _, l := range links {
		w := v1.Link{Name: l.Name, Kind: l.Kind, MAC: l.MAC, MTU: l.MTU, Up: l.Up, Carrier: l.Carrier, SpeedMbit: l.SpeedMbit,
			Master: l.Master, Parent: l.Parent, VLANID: l.VLANID, Addresses: []string{}, Declared: doc.Network.Find(l.Name) != nil}
		if w.Kind == "" {
			w.Kind = string(config.KindEthernet)
		}
		for _, a := range l.Addresses {
			w.Addresses = append(w.Addresses, a.String())
		}
		n.Interfaces = append(n.Interfaces, w)
	}
	return n, nil
}

func unconfirmedOf(u *appliance.Unconfirmed) *v1.UnconfirmedNetwork {
	if u == nil {
		return nil
	}
	return &v1.UnconfirmedNetwork{Revision: u.Revision, Who: u.Who, Why: u.Why, Deadline: u.Deadline}
}

// permitNetwork lets only admins change how the machine is reached.
func permitNetwork(p principal, old, doc *config.Document) error {
	if p.role >= Admin || len(config.Fields(old.Network, doc.Network)) == 0 {
		return nil
	}
	return problem(http.StatusForbidden, v1.ProblemDenied, fmt.Sprintf("%s is %s here; only an admin changes the machine's network", p.name, p.role))
}
