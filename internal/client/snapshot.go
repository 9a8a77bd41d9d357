package client

import (
	"context"
	"net/http"
	"net/url"

	v1 "github.com/esos-project/esos/internal/api/v1"
)

// Snapshots lists the snapshots of devices.
func (c *Client) Snapshots(ctx context.Context) (v1.SnapshotList, error) {
	var all v1.SnapshotList
	_, err := c.get(ctx, "/snapshots", nil, &all)
	return all, err
}

// TakeSnapshot takes snapshots of devices, all of one moment.
func (c *Client) TakeSnapshot(ctx context.Context, devices []string, name string) ([]v1.Snapshot, error) {
	var made v1.SnapshotList
	_, err := c.call(ctx, request{method: http.MethodPost, path: "/snapshots",
		body: asJSON(v1.SnapshotRequest{Devices: devices, Name: name}), contentType: "application/json"}, &made)
	return made.Snapshots, err
}

// DeleteSnapshot deletes a snapshot, which must be named in destroy.
func (c *Client) DeleteSnapshot(ctx context.Context, device, name string, destroy []string) error {
	_, err := c.call(ctx, request{method: http.MethodDelete, path: "/snapshots/" + url.PathEscape(device) + "/" + url.PathEscape(name), query: destroying(destroy)}, nil)
	return err
}
