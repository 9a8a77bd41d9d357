// Package client speaks to an ESOS array's REST API, over its Unix socket or
// over TCP with TLS. The command line uses nothing else.
package client

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	v1 "github.com/esos-project/esos/internal/api/v1"
)

// Client is a connection to one array. It may be used by many goroutines.
type Client struct {
	http  *http.Client
	base  string
	token string
}

// Options say where the array is and who asks.
type Options struct {
	// Socket is the path of the API's Unix socket; used when URL is empty.
	Socket string
	// URL is https://host:port.
	URL string
	// Token is a bearer token (or a session's).
	Token string
	// Fingerprint pins the server's certificate: sha256: and the hex SHA-256
	// of its DER form. Without it the system's roots must vouch for it.
	Fingerprint string
}

// maxAnswer bounds what an answer may take in memory.
const maxAnswer = 64 << 20

// New makes a client. It does not connect yet.
func New(o Options) (*Client, error) {
	c := &Client{token: o.Token}
	tr := &http.Transport{ResponseHeaderTimeout: 2 * time.Minute, MaxIdleConnsPerHost: 4, IdleConnTimeout: time.Minute, ExpectContinueTimeout: 5 * time.Second}
	if o.URL == "" {
		if o.Socket == "" {
			return nil, errors.New("neither a socket nor a URL of the array was given")
		}
		c.base = "http://esos"
		tr.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "unix", o.Socket)
		}
		c.http = &http.Client{Transport: tr}
		return c, nil
	}
	u, err := url.Parse(o.URL)
	if err != nil || u.Scheme != "https" || u.Host == "" || strings.Trim(u.Path, "/") != "" {
		return nil, fmt.Errorf("the array's address %q is not of the form https://host:port", o.URL)
	}
	c.base = "https://" + u.Host
	tr.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS13}
	if o.Fingerprint != "" {
		want, err := parseFingerprint(o.Fingerprint)
		if err != nil {
			return nil, err
		}
		// The pin replaces the chain of trust: a self-signed pair has none.
		tr.TLSClientConfig.InsecureSkipVerify = true
		tr.TLSClientConfig.VerifyConnection = func(s tls.ConnectionState) error {
			got := sha256.Sum256(s.PeerCertificates[0].Raw)
			if subtle.ConstantTimeCompare(got[:], want) != 1 {
				return fmt.Errorf("the array shows a certificate with the fingerprint sha256:%x, not the pinned one; compare it with `esos status` on the array", got)
			}
			return nil
		}
	}
	// No redirects: they would carry the token elsewhere.
	c.http = &http.Client{Transport: tr, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return c, nil
}

func parseFingerprint(s string) ([]byte, error) {
	h := strings.ReplaceAll(strings.TrimPrefix(strings.ToLower(s), "sha256:"), ":", "")
	b, err := hex.DecodeString(h)
	if err != nil || len(b) != sha256.Size {
		return nil, fmt.Errorf("the fingerprint %q is not sha256: and 64 hex digits", s)
	}
	return b, nil
}

// Close closes idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// SetToken sets the token that later requests carry.
func (c *Client) SetToken(token string) { c.token = token }

// Error is a problem that the array answered with.
type Error struct {
	v1.Problem
}

// Error says all of it, a fault a line.
func (e *Error) Error() string {
	s := e.Detail
	if s == "" {
		s = e.Title
	}
	for _, f := range e.Errors {
		s += "\n  "
		if f.Location != "" {
			s += f.Location + ": "
		}
		s += f.Message
	}
	return s
}

// UnreachableError means that no answer came: the daemon does not run, or the
// network does not lead to it.
type UnreachableError struct {
	Where string
	Err   error
}

func (e *UnreachableError) Error() string {
	return fmt.Sprintf("reach the array at %s: %v", e.Where, e.Err)
}

// Unwrap gives the reason.
func (e *UnreachableError) Unwrap() error { return e.Err }

// request is one request to the API.
type request struct {
	method, path string
	query        url.Values
	header       http.Header
	body         []byte
	stream       io.Reader // instead of body: length bytes
	length       int64
	contentType  string
	accept       string
}

// send sends a request; the answer's status is below 300, else it returns an *Error.
func (c *Client) send(ctx context.Context, r request) (*http.Response, error) {
	u := c.base + v1.Prefix + r.path
	if len(r.query) > 0 {
		u += "?" + r.query.Encode()
	}
	body := r.stream
	if body == nil {
		body = bytes.NewReader(r.body)
	}
	req, err := http.NewRequestWithContext(ctx, r.method, u, body)
	if err != nil {
		return nil, err
	}
	if r.stream != nil {
		req.ContentLength = r.length
		req.Header.Set("Expect", "100-continue") // an array that refuses it says so before all of it was sent
	}
	for k, v := range r.header {
		req.Header[k] = v
	}
	if r.contentType != "" {
		req.Header.Set("Content-Type", r.contentType)
	}
	if r.accept == "" {
		r.accept = "application/json"
	}
	req.Header.Set("Accept", r.accept)
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, &UnreachableError{Where: c.base, Err: reason(err)}
	}
	if resp.StatusCode < 300 {
		return resp, nil
	}
	defer resp.Body.Close()
	return nil, problem(resp)
}

// reason leaves out what people do not need: the URL, once more.
func reason(err error) error {
	var ue *url.Error
	if errors.As(err, &ue) {
		err = ue.Err
	}
	var unknown x509.UnknownAuthorityError
	if errors.As(err, &unknown) {
		return fmt.Errorf("%w; if it is the array's own certificate, pin it with --fingerprint (`esos status` on the array shows it)", err)
	}
	return err
}

func problem(resp *http.Response) error {
	e := &Error{}
	data, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	ct, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if ct != "application/problem+json" || json.Unmarshal(data, &e.Problem) != nil {
		e.Problem = v1.Problem{Type: v1.ProblemFailed, Title: http.StatusText(resp.StatusCode),
			Detail: fmt.Sprintf("the array answered %s without saying why; is it an ESOS array?", resp.Status)}
	}
	e.Status = resp.StatusCode
	return e
}

// get reads a JSON answer and returns its ETag.
func (c *Client) get(ctx context.Context, path string, query url.Values, into any) (etag string, err error) {
	return c.call(ctx, request{method: http.MethodGet, path: path, query: query}, into)
}

// call sends r and decodes the answer into into, unless that is nil.
func (c *Client) call(ctx context.Context, r request, into any) (etag string, err error) {
	resp, err := c.send(ctx, r)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	etag = resp.Header.Get("ETag")
	if into == nil {
		_, err = io.Copy(io.Discard, io.LimitReader(resp.Body, maxAnswer))
		return etag, err
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxAnswer)).Decode(into); err != nil {
		return "", fmt.Errorf("read the array's answer to %s %s: %w", r.method, r.path, err)
	}
	return etag, nil
}

func asJSON(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // our own types always encode
	}
	return b
}
