package client

import (
	"context"

	v1 "github.com/esos-project/esos/internal/api/v1"
)

// NVMeConnections lists the NVMe hosts that are connected.
func (c *Client) NVMeConnections(ctx context.Context) (v1.NVMeConnections, error) {
	var n v1.NVMeConnections
	_, err := c.get(ctx, "/nvme/connections", nil, &n)
	return n, err
}
