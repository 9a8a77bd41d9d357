package client

import (
	"context"
	"net/http"
	"net/url"

	v1 "github.com/esos-project/esos/internal/api/v1"
)

// Login opens a session with a password and uses it from now on.
func (c *Client) Login(ctx context.Context, name, password string) (v1.LoggedIn, error) {
	var l v1.LoggedIn
	_, err := c.call(ctx, request{method: http.MethodPost, path: "/login", body: asJSON(v1.Login{Name: name, Password: password}),
		contentType: "application/json"}, &l)
	if err == nil {
		c.SetToken(l.Token)
	}
	return l, err
}

// Logout ends the session.
func (c *Client) Logout(ctx context.Context) error {
	_, err := c.call(ctx, request{method: http.MethodPost, path: "/logout"}, nil)
	return err
}

// Users lists who may use the API.
func (c *Client) Users(ctx context.Context) ([]v1.User, error) {
	var us []v1.User
	_, err := c.get(ctx, "/users", nil, &us)
	return us, err
}

// User reads one user and the tag that a change must carry.
func (c *Client) User(ctx context.Context, name string) (v1.User, string, error) {
	var u v1.User
	etag, err := c.get(ctx, "/users/"+url.PathEscape(name), nil, &u)
	return u, etag, err
}

// CreateUser adds a user.
func (c *Client) CreateUser(ctx context.Context, u v1.User) (v1.Operation, error) {
	var op v1.Operation
	_, err := c.call(ctx, request{method: http.MethodPost, path: "/users", body: asJSON(u), contentType: "application/json"}, &op)
	return op, err
}

// PutUser changes a user; an empty password leaves the one that is set.
func (c *Client) PutUser(ctx context.Context, u v1.User, etag string) (v1.Operation, error) {
	var op v1.Operation
	_, err := c.call(ctx, request{method: http.MethodPut, path: "/users/" + url.PathEscape(u.Name), header: ifMatch(etag),
		body: asJSON(u), contentType: "application/json"}, &op)
	return op, err
}

// DeleteUser removes a user with all tokens and sessions.
func (c *Client) DeleteUser(ctx context.Context, name, etag string) (v1.Operation, error) {
	var op v1.Operation
	_, err := c.call(ctx, request{method: http.MethodDelete, path: "/users/" + url.PathEscape(name), header: ifMatch(etag)}, &op)
	return op, err
}

// NewToken makes a token for a user; this is the only time it can be seen.
func (c *Client) NewToken(ctx context.Context, user, name string) (v1.MadeToken, error) {
	var t v1.MadeToken
	_, err := c.call(ctx, request{method: http.MethodPost, path: "/users/" + url.PathEscape(user) + "/tokens",
		body: asJSON(v1.NewToken{Name: name}), contentType: "application/json"}, &t)
	return t, err
}
