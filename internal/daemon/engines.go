package daemon

import (
	"context"
	"path/filepath"

	"github.com/esos-project/esos/internal/engine/choice"
	"github.com/esos-project/esos/internal/engine/lio"
	"github.com/esos-project/esos/internal/engine/native"
	"github.com/esos-project/esos/internal/host/kernfs"
)

// engines are those that a document can name. None is started before one does.
func engines(o Options) *choice.Engine {
	state := filepath.Join(o.DataDir, "state")
	return choice.New(map[string]choice.Maker{
		"native": {Supports: native.Supports, Start: func(ctx context.Context) (choice.Serving, error) {
			return native.Start(ctx, native.Options{TargetBinary: o.TargetBinary, Socket: o.TargetSocket, RunDir: o.RunDir,
				StateDir: state, DataDir: o.DataDir, Log: o.Log})
		}},
		"lio": {Supports: lio.Supports, Start: func(ctx context.Context) (choice.Serving, error) {
			kernel := kernfs.Tree{Root: kernfs.LIO}
			if err := kernel.Load(ctx, "target_core_mod"); err != nil {
				return nil, err
			}
			return lio.Start(ctx, lio.Options{Kernel: kernel, SameRoot: kernfs.SameRoot, RunDir: o.RunDir,
				StateDir: filepath.Join(state, "lio"), DataDir: o.DataDir, Log: o.Log})
		}},
	})
}
