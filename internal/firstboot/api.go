package firstboot

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	v1 "github.com/esos-project/esos/internal/api/v1"
	"github.com/esos-project/esos/internal/client"
	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/password"
)

// API is the daemon's: *client.Client.
type API interface {
	Status(ctx context.Context) (v1.Status, error)
	Document(ctx context.Context, reveal bool) (client.Document, error)
	Apply(ctx context.Context, text []byte, o client.ChangeOptions) (v1.Operation, error)
	Follow(ctx context.Context, op v1.Operation, progress func(v1.Operation)) (v1.Operation, error)
}

// OpenAPI waits for the daemon. An array whose document has no users gets an
// administrator; one that began without a document listens. The consoles then
// show where.
func (m Machine) OpenAPI(ctx context.Context, c API, f *First) error {
	if err := await(ctx, c); err != nil {
		return err
	}
	var at string
	for attempt := 0; ; attempt++ {
		var err error
		at, err = m.open(ctx, c, f)
		var refused *client.Error
		if errors.As(err, &refused) && refused.Type == v1.ProblemConflict && attempt < 5 {
			continue // somebody else was faster
		}
		if err != nil {
			return fmt.Errorf("give the API its first administrator: %w", err)
		}
		break
	}
	if !f.console && !f.api {
		return nil // there is no password to show
	}
	if at != "" {
		if err := f.locate(ctx, c); err != nil {
			return fmt.Errorf("ask where the API listens: %w", err)
		}
	}
	return m.announce(*f)
}

// locate asks where the API listens, which it begins to a moment after the
// document says so. One that cannot is not waited for: the status says why.
func (f *First) locate(ctx context.Context, c API) error {
	for end := time.Now().Add(10 * time.Second); ; {
		s, err := c.Status(ctx)
		if err != nil {
			return err
		}
		if f.reach, f.print = reach(s.API), s.Fingerprint; f.reach != "" || time.Now().After(end) {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// await waits until the daemon answers.
func await(ctx context.Context, c API) error {
	for {
		_, err := c.Status(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for the daemon (journalctl -u esos may say more): %w", err)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// open makes the change, if there is one to make, and returns where the API
// is to listen.
func (m Machine) open(ctx context.Context, c API, f *First) (at string, err error) {
	now, err := c.Document(ctx, true)
	if err != nil {
		return "", err
	}
	doc, _, err := config.Parse("document in force", now.Text)
	if err != nil {
		return "", err
	}
	if len(doc.API.Users) > 0 {
		return doc.API.Listen, nil
	}
	if f.password == "" {
		f.password = newPassword()
	}
	hash, err := password.Hash(f.password)
	if err != nil {
		return "", err
	}
	doc.API.Users = []config.APIUser{{Name: Administrator, Role: "admin", Password: config.Secret(hash)}}
	if _, err := os.Stat(m.path(Seed)); errors.Is(err, os.ErrNotExist) && doc.API.Listen == "" {
		doc.API.Listen = m.Listen
	}
	text, err := config.Marshal(doc)
	if err != nil {
		return "", err
	}
	op, err := c.Apply(ctx, text, client.ChangeOptions{IfMatch: now.ETag, Why: "first boot"})
	if err != nil {
		return "", err
	}
	if op, err = c.Follow(ctx, op, nil); err != nil {
		return "", err
	}
	if op.State != v1.Done {
		return "", fmt.Errorf("change of the document: %s", op.Error)
	}
	f.api = true
	m.Log.Info("the API has its first administrator", "user", Administrator, "listen", doc.API.Listen)
	return doc.API.Listen, nil
}

// reach is the API's address as consoles show it: where it listens at every
// address, agetty fills the machine's in.
func reach(url string) string {
	address, ok := strings.CutPrefix(url, "https://")
	host, port, err := net.SplitHostPort(address)
	if !ok || err != nil {
		return url
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = `\4`
	}
	return "https://" + host + ":" + port
}
