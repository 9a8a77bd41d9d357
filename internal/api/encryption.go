package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	v1 "github.com/esos-project/esos/internal/api/v1"
)

type (
	encryptedOutput struct {
		Body []v1.EncryptedState
	}
	unlockInput struct {
		Body v1.Unlock
	}
	recoveryKeyOutput struct {
		Body v1.RecoveryKey
	}
)

// encryption are the routes of encrypted devices as they are, and of their
// keys. What they should be is in the document.
func (s *Server) encryption() {
	huma.Register(s.huma, operation(Viewer, http.MethodGet, "/storage/encrypted", "listEncrypted", "storage", "List the encrypted devices that are declared, as they are"),
		func(ctx context.Context, _ *nothing) (*encryptedOutput, error) {
			all, err := s.app.Encrypted(ctx)
			out := &encryptedOutput{Body: []v1.EncryptedState{}}
			for _, e := range all {
				out.Body = append(out.Body, v1.EncryptedState{Encrypted: e.Encrypted, Path: e.Path(), Made: e.Made, Open: e.Open, Size: e.Size,
					Waits: e.Waits, NoBackup: e.Unseen, Problem: e.Problem})
			}
			return out, storageAnswer(err)
		})
	huma.Register(s.huma, operation(Operator, http.MethodPost, "/storage/encrypted/{name}/unlock", "unlockEncrypted", "storage", "Open an encrypted device with its passphrase"),
		func(ctx context.Context, in *unlockInput) (*nothing, error) {
			passphrase := []byte(in.Body.Passphrase)
			defer clear(passphrase)
			return nil, storageAnswer(s.app.Unlock(ctx, at(ctx).name, passphrase, in.Body.Make))
		})
	huma.Register(s.huma, operation(Operator, http.MethodPost, "/storage/encrypted/{name}/lock", "lockEncrypted", "storage", "Close an encrypted device until its passphrase is typed"),
		func(ctx context.Context, _ *nothing) (*nothing, error) {
			return nil, storageAnswer(s.app.Lock(ctx, at(ctx).name))
		})
	huma.Register(s.huma, operation(Admin, http.MethodPost, "/storage/encrypted/{name}/recovery-key", "showRecoveryKey", "storage", "Show the recovery key of an encrypted device, once; from then on make a new one in its place"),
		func(ctx context.Context, _ *nothing) (*recoveryKeyOutput, error) {
			key, err := s.app.RecoveryKey(ctx, at(ctx).name)
			return &recoveryKeyOutput{v1.RecoveryKey{Key: key}}, storageAnswer(err)
		})
}
