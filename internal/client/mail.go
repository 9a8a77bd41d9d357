package client

import (
	"context"
	"net/http"

	v1 "github.com/esos-project/esos/internal/api/v1"
)

// TestMail sends a test mail, and returns when the mail server has taken it.
func (c *Client) TestMail(ctx context.Context, to string) (v1.MailTested, error) {
	var done v1.MailTested
	_, err := c.call(ctx, request{method: http.MethodPost, path: "/mail/test", body: asJSON(v1.MailTest{To: to}), contentType: "application/json"}, &done)
	return done, err
}
