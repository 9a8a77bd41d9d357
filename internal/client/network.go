package client

import (
	"context"
	"net/http"

	v1 "github.com/esos-project/esos/internal/api/v1"
)

// Network reads the machine's network as it is now.
func (c *Client) Network(ctx context.Context) (v1.NetworkState, error) {
	var n v1.NetworkState
	_, err := c.get(ctx, "/network", nil, &n)
	return n, err
}

// ConfirmNetwork keeps the change of the network that revision made; 0 is
// whichever waits to be confirmed.
func (c *Client) ConfirmNetwork(ctx context.Context, revision int) error {
	_, err := c.call(ctx, request{method: http.MethodPost, path: "/network/confirm",
		body: asJSON(v1.NetworkConfirmation{Revision: revision}), contentType: "application/json"}, nil)
	return err
}

// UndoNetwork undoes the change of the network that waits to be confirmed.
func (c *Client) UndoNetwork(ctx context.Context) error {
	_, err := c.call(ctx, request{method: http.MethodPost, path: "/network/undo"}, nil)
	return err
}

// RestartNetwork sets every network interface up anew.
func (c *Client) RestartNetwork(ctx context.Context) error {
	_, err := c.call(ctx, request{method: http.MethodPost, path: "/network/restart"}, nil)
	return err
}
