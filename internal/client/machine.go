package client

import (
	"context"
	"net/http"
	"net/url"
	"time"

	v1 "github.com/esos-project/esos/internal/api/v1"
)

// Clock reads the machine's clock as it is now.
func (c *Client) Clock(ctx context.Context) (v1.ClockState, error) {
	var now v1.ClockState
	_, err := c.get(ctx, "/clock", nil, &now)
	return now, err
}

// SetClock sets the machine's clock by hand.
func (c *Client) SetClock(ctx context.Context, t time.Time) error {
	_, err := c.call(ctx, request{method: http.MethodPost, path: "/clock/time",
		body: asJSON(v1.ClockTime{Time: t}), contentType: "application/json"}, nil)
	return err
}

// Services lists the machine's services as they are now.
func (c *Client) Services(ctx context.Context) ([]v1.ServiceState, error) {
	var all []v1.ServiceState
	_, err := c.get(ctx, "/services", nil, &all)
	return all, err
}

// RestartService stops a service and starts it again.
func (c *Client) RestartService(ctx context.Context, name string) error {
	_, err := c.call(ctx, request{method: http.MethodPost, path: "/services/" + url.PathEscape(name) + "/restart"}, nil)
	return err
}
