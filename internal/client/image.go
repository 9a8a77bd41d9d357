package client

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"

	v1 "github.com/esos-project/esos/internal/api/v1"
)

// Images lists the image files and ISO files.
func (c *Client) Images(ctx context.Context) (v1.Images, error) {
	var all v1.Images
	_, err := c.get(ctx, "/images", nil, &all)
	return all, err
}

// CopyImage copies an image file; follow the operation.
func (c *Client) CopyImage(ctx context.Context, from, to string) (v1.Operation, error) {
	var op v1.Operation
	_, err := c.call(ctx, request{method: http.MethodPost, path: "/images/copy", body: asJSON(v1.ImageCopy{From: from, To: to}), contentType: "application/json"}, &op)
	return op, err
}

// DeleteImage deletes a file, which must be named in destroy.
func (c *Client) DeleteImage(ctx context.Context, path string, destroy []string) error {
	q := destroying(destroy)
	if q == nil {
		q = url.Values{}
	}
	q.Set("path", path)
	_, err := c.call(ctx, request{method: http.MethodDelete, path: "/images", query: q}, nil)
	return err
}

// UploadImage sends a file of length bytes to a file system. sum is the SHA-256
// that must arrive, in hex, or "".
func (c *Client) UploadImage(ctx context.Context, fileSystem, name string, r io.Reader, length int64, sum string) (v1.ImageReceived, error) {
	q := url.Values{}
	if sum != "" {
		q.Set("sha256", sum)
	}
	var got v1.ImageReceived
	resp, err := c.send(ctx, request{method: http.MethodPut, path: "/images/" + url.PathEscape(fileSystem) + "/" + url.PathEscape(name), query: q,
		stream: r, length: length, contentType: "application/octet-stream"})
	if err != nil {
		return got, err
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxAnswer)).Decode(&got); err != nil {
		return got, fmt.Errorf("read the array's answer to the upload: %w", err)
	}
	return got, nil
}
