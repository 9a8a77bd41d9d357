package client

import (
	"context"
	"net/http"

	v1 "github.com/esos-project/esos/internal/api/v1"
)

// Drift tells what was changed by hand, and what would undo it.
func (c *Client) Drift(ctx context.Context) (v1.Plan, error) {
	var p v1.Plan
	_, err := c.get(ctx, "/drift", nil, &p)
	return p, err
}

// Ways to deal with drift.
const (
	RevertDrift = "revert" // undo it
	AdoptDrift  = "adopt"  // write it into the document
)

// PlanDrift tells what dealing with drift would change.
func (c *Client) PlanDrift(ctx context.Context, way string, d v1.DriftChange) (v1.Plan, error) {
	var p v1.Plan
	_, err := c.call(ctx, request{method: http.MethodPost, path: "/drift/" + way + "/plan", body: asJSON(d), contentType: "application/json"}, &p)
	return p, err
}

// ChangeDrift begins to deal with drift. Follow the operation to its end.
func (c *Client) ChangeDrift(ctx context.Context, way string, d v1.DriftChange, etag string) (v1.Operation, error) {
	var op v1.Operation
	_, err := c.call(ctx, request{method: http.MethodPost, path: "/drift/" + way, header: ifMatch(etag), body: asJSON(d), contentType: "application/json"}, &op)
	return op, err
}
