package client

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	v1 "github.com/esos-project/esos/internal/api/v1"
)

const yamlType = "application/yaml"

// Document is the text of a document (YAML) and the tag that a change must
// carry.
type Document struct {
	Text []byte
	ETag string
}

// Document reads the document in force. Its secrets read (secret), unless
// reveal asks for them, which only the socket answers.
func (c *Client) Document(ctx context.Context, reveal bool) (Document, error) {
	return c.document(ctx, "/config", revealed(reveal))
}

// RevisionDocument reads the document of an older revision.
func (c *Client) RevisionDocument(ctx context.Context, n int, reveal bool) (Document, error) {
	return c.document(ctx, "/config/revisions/"+strconv.Itoa(n), revealed(reveal))
}

func revealed(reveal bool) url.Values {
	if !reveal {
		return nil
	}
	return url.Values{"reveal": {"true"}}
}

func (c *Client) document(ctx context.Context, path string, q url.Values) (Document, error) {
	resp, err := c.send(ctx, request{method: http.MethodGet, path: path, query: q, accept: yamlType})
	if err != nil {
		return Document{}, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return Document{}, fmt.Errorf("read the document: %w", err)
	}
	return Document{Text: text, ETag: resp.Header.Get("ETag")}, nil
}

// Plan tells what a document (YAML or JSON) would change if it were applied
// with the same objects to destroy.
func (c *Client) Plan(ctx context.Context, text []byte, destroy []string) (v1.Plan, error) {
	var p v1.Plan
	_, err := c.call(ctx, request{method: http.MethodPost, path: "/config/plan", query: destroying(destroy), body: text, contentType: yamlType}, &p)
	return p, err
}

// PlanRevision tells what returning to an older revision would change.
func (c *Client) PlanRevision(ctx context.Context, n int, destroy []string) (v1.Plan, error) {
	var p v1.Plan
	_, err := c.call(ctx, request{method: http.MethodPost, path: "/config/revisions/" + strconv.Itoa(n) + "/plan", query: destroying(destroy)}, &p)
	return p, err
}

func destroying(objects []string) url.Values {
	if len(objects) == 0 {
		return nil
	}
	return url.Values{"destroy": objects}
}

// ChangeOptions go with a change.
type ChangeOptions struct {
	IfMatch string // the ETag that the change is based on; "*" overwrites whatever is there
	Why     string
	Destroy []string // objects that may be destroyed, such as device/db01
	// ConfirmWithin is how many seconds a change of the network waits to be
	// confirmed; the array's default if 0.
	ConfirmWithin int
}

// Apply begins to make the array what a document (YAML or JSON) says. Follow
// the operation to its end.
func (c *Client) Apply(ctx context.Context, text []byte, o ChangeOptions) (v1.Operation, error) {
	q := url.Values{}
	if o.Why != "" {
		q.Set("why", o.Why)
	}
	if len(o.Destroy) > 0 {
		q["destroy"] = o.Destroy
	}
	if o.ConfirmWithin > 0 {
		q.Set("confirm_within", strconv.Itoa(o.ConfirmWithin))
	}
	var op v1.Operation
	_, err := c.call(ctx, request{method: http.MethodPut, path: "/config", query: q, header: ifMatch(o.IfMatch),
		body: text, contentType: yamlType}, &op)
	return op, err
}

// Rollback begins to carry out an older revision again.
func (c *Client) Rollback(ctx context.Context, r v1.Rollback, etag string) (v1.Operation, error) {
	var op v1.Operation
	_, err := c.call(ctx, request{method: http.MethodPost, path: "/config/rollback", header: ifMatch(etag),
		body: asJSON(r), contentType: "application/json"}, &op)
	return op, err
}

func ifMatch(etag string) http.Header {
	if etag == "" {
		return nil
	}
	return http.Header{"If-Match": {etag}}
}

// Revisions lists the documents that were in force, newest first.
func (c *Client) Revisions(ctx context.Context) ([]v1.Revision, error) {
	var rs []v1.Revision
	_, err := c.get(ctx, "/config/revisions", nil, &rs)
	return rs, err
}

// Schema reads the JSON schema of documents.
func (c *Client) Schema(ctx context.Context) ([]byte, error) {
	resp, err := c.send(ctx, request{method: http.MethodGet, path: "/config/schema"})
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	return io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
}

// Operation reads how far an operation is. It waits up to wait for it to get
// further than seen.
func (c *Client) Operation(ctx context.Context, id string, wait time.Duration, seen string) (op v1.Operation, tag string, err error) {
	q := url.Values{}
	if wait > 0 {
		q.Set("wait", strconv.Itoa(int(wait/time.Second)))
	}
	if seen != "" {
		q.Set("seen", seen)
	}
	tag, err = c.get(ctx, "/operations/"+url.PathEscape(id), q, &op)
	return op, tag, err
}

// Follow follows an operation to its end and shows each change of it to
// progress, which may be nil. It returns how the operation ended; a failed
// one is not an error here.
func (c *Client) Follow(ctx context.Context, op v1.Operation, progress func(v1.Operation)) (v1.Operation, error) {
	var tag string
	for {
		if progress != nil {
			progress(op)
		}
		if op.State != v1.Running {
			return op, nil
		}
		var err error
		if op, tag, err = c.Operation(ctx, op.ID, 20*time.Second, tag); err != nil {
			return op, fmt.Errorf("follow operation %s: %w", op.ID, err)
		}
	}
}
