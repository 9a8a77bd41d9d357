package daemon

import (
	"context"

	"github.com/esos-project/esos/internal/host/kernfs"
	"github.com/esos-project/esos/internal/nvmet"
)

// nvmeTarget is the kernel's NVMe target, beside whichever engine serves. Its
// module is loaded when a document has something for it.
func nvmeTarget(o Options) *nvmet.Target {
	kernel := kernfs.Tree{Root: nvmet.Root}
	return nvmet.New(nvmet.Options{
		Kernel: kernel, Debug: kernfs.Tree{Root: nvmet.DebugRoot}, SameRoot: kernfs.SameRoot,
		Load:   func(ctx context.Context) error { return kernel.Load(ctx, "nvmet") },
		RunDir: o.RunDir, Log: o.Log,
	})
}

// stopNVMe ends what of it is ours.
func stopNVMe(t *nvmet.Target) error {
	ctx, cancel := context.WithTimeout(context.Background(), stopTime)
	defer cancel()
	return t.Stop(ctx)
}
