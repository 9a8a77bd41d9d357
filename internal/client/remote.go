package client

import "strings"

// Remote says whether the array is reached over the network.
func (c *Client) Remote() bool { return strings.HasPrefix(c.base, "https://") }
