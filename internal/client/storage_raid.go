package client

import (
	"context"
	"net/http"
	"net/url"

	v1 "github.com/esos-project/esos/internal/api/v1"
)

// CheckArray begins a check of a RAID array (check, repair), or ends it (idle).
func (c *Client) CheckArray(ctx context.Context, name, action string) error {
	return c.onArray(ctx, name, "check", asJSON(v1.CheckArray{Action: action}))
}

// FailDisk takes a disk of a RAID array for failed.
func (c *Client) FailDisk(ctx context.Context, name, disk string) error {
	return c.onArray(ctx, name, "fail", asJSON(v1.FailDisk{Disk: disk}))
}

func (c *Client) onArray(ctx context.Context, name, does string, body []byte) error {
	_, err := c.call(ctx, request{method: http.MethodPost, path: "/storage/arrays/" + url.PathEscape(name) + "/" + does, body: body, contentType: "application/json"}, nil)
	return err
}
