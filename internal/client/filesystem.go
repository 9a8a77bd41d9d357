package client

import (
	"context"
	"net/http"
	"net/url"

	v1 "github.com/esos-project/esos/internal/api/v1"
)

// FileSystems lists the file systems that are declared, as they are.
func (c *Client) FileSystems(ctx context.Context) ([]v1.FileSystemState, error) {
	var all []v1.FileSystemState
	_, err := c.get(ctx, "/storage/filesystems", nil, &all)
	return all, err
}

// FilesOn lists the files on a file system.
func (c *Client) FilesOn(ctx context.Context, name string) ([]v1.StoredFile, error) {
	var all []v1.StoredFile
	_, err := c.get(ctx, "/storage/filesystems/"+url.PathEscape(name)+"/files", nil, &all)
	return all, err
}

// TrimFileSystem tells the disks what of a file system is unused.
func (c *Client) TrimFileSystem(ctx context.Context, name string) (v1.Trimmed, error) {
	var done v1.Trimmed
	_, err := c.call(ctx, request{method: http.MethodPost, path: "/storage/filesystems/" + url.PathEscape(name) + "/trim"}, &done)
	return done, err
}

// CheckFileSystem looks for damage.
func (c *Client) CheckFileSystem(ctx context.Context, name string) (v1.Checked, error) {
	var found v1.Checked
	_, err := c.call(ctx, request{method: http.MethodPost, path: "/storage/filesystems/" + url.PathEscape(name) + "/check"}, &found)
	return found, err
}

// Encrypted lists the encrypted devices that are declared, as they are.
func (c *Client) Encrypted(ctx context.Context) ([]v1.EncryptedState, error) {
	var all []v1.EncryptedState
	_, err := c.get(ctx, "/storage/encrypted", nil, &all)
	return all, err
}

// Unlock opens an encrypted device.
func (c *Client) Unlock(ctx context.Context, name string, key v1.Unlock) error {
	// Written out: a Secret encodes as a stand-in.
	body := map[string]any{"passphrase": string(key.Passphrase), "make": key.Make}
	_, err := c.call(ctx, request{method: http.MethodPost, path: "/storage/encrypted/" + url.PathEscape(name) + "/unlock",
		body: asJSON(body), contentType: "application/json"}, nil)
	return err
}

// Lock closes an encrypted device.
func (c *Client) Lock(ctx context.Context, name string) error {
	_, err := c.call(ctx, request{method: http.MethodPost, path: "/storage/encrypted/" + url.PathEscape(name) + "/lock"}, nil)
	return err
}

// RecoveryKey shows the recovery key of an encrypted device.
func (c *Client) RecoveryKey(ctx context.Context, name string) (v1.RecoveryKey, error) {
	var key v1.RecoveryKey
	_, err := c.call(ctx, request{method: http.MethodPost, path: "/storage/encrypted/" + url.PathEscape(name) + "/recovery-key"}, &key)
	return key, err
}
