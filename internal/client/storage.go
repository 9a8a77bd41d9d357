package client

import (
	"context"
	"net/http"
	"net/url"

	v1 "github.com/esos-project/esos/internal/api/v1"
)

// Storage reads what devices stand on, as it is now.
func (c *Client) Storage(ctx context.Context) (v1.StorageState, error) {
	var now v1.StorageState
	_, err := c.get(ctx, "/storage", nil, &now)
	return now, err
}

// LocateDisk makes the LED at a disk blink, or stop.
func (c *Client) LocateDisk(ctx context.Context, disk string, on bool) error {
	_, err := c.call(ctx, request{method: http.MethodPost, path: "/storage/disks/" + url.PathEscape(disk) + "/locate",
		body: asJSON(v1.Locate{On: on}), contentType: "application/json"}, nil)
	return err
}
