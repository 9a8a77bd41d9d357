package client

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	v1 "github.com/esos-project/esos/internal/api/v1"
	"github.com/esos-project/esos/internal/engine"
)

// Status reads the array at a glance.
func (c *Client) Status(ctx context.Context) (v1.Status, error) {
	var s v1.Status
	_, err := c.get(ctx, "/status", nil, &s)
	return s, err
}

// Sessions lists the initiators that are logged in.
func (c *Client) Sessions(ctx context.Context) ([]engine.Session, error) {
	var s []engine.Session
	_, err := c.get(ctx, "/sessions", nil, &s)
	return s, err
}

// CloseSession logs an initiator out.
func (c *Client) CloseSession(ctx context.Context, id string) error {
	_, err := c.call(ctx, request{method: http.MethodDelete, path: "/sessions/" + url.PathEscape(id)}, nil)
	return err
}

// Statistics reads the counters of all LUNs.
func (c *Client) Statistics(ctx context.Context) (engine.Statistics, error) {
	var s engine.Statistics
	_, err := c.get(ctx, "/statistics", nil, &s)
	return s, err
}

// Alerts lists the active alerts, the gravest first.
func (c *Client) Alerts(ctx context.Context) ([]v1.Alert, error) {
	var all []v1.Alert
	_, err := c.get(ctx, "/alerts", nil, &all)
	return all, err
}

// Operations lists the latest operations, newest first.
func (c *Client) Operations(ctx context.Context) ([]v1.Operation, error) {
	var ops []v1.Operation
	_, err := c.get(ctx, "/operations", nil, &ops)
	return ops, err
}

// Events gives each event after the one numbered since to each. It ends after
// the last one; or with follow when ctx ends, the connection breaks or each
// returns an error.
func (c *Client) Events(ctx context.Context, since int64, follow bool, each func(v1.Event) error) error {
	resp, err := c.send(ctx, request{method: http.MethodGet, path: "/events", accept: "text/event-stream",
		query:  url.Values{"follow": {strconv.FormatBool(follow)}},
		header: http.Header{"Last-Event-ID": {strconv.FormatInt(since, 10)}}})
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, 1<<20)
	kind := ""
	for lines.Scan() {
		if k, ok := strings.CutPrefix(lines.Text(), "event: "); ok {
			kind = k
		}
		if lines.Text() == "" {
			kind = ""
		}
		data, ok := strings.CutPrefix(lines.Text(), "data: ")
		if !ok || kind != "" {
			continue // an ID, or a heartbeat that keeps the connection alive
		}
		var e v1.Event
		if err := json.Unmarshal([]byte(data), &e); err != nil {
			return fmt.Errorf("read an event: %w", err)
		}
		if err := each(e); err != nil {
			return err
		}
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("read events: %w", err)
	}
	return nil
}
