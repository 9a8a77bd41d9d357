package daemon

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/engine/choice"
	"github.com/esos-project/esos/internal/engine/lio"
	"github.com/esos-project/esos/internal/engine/native"
	"github.com/esos-project/esos/internal/engine/scst"
	"github.com/esos-project/esos/internal/host"
	"github.com/esos-project/esos/internal/host/kernfs"
	"github.com/esos-project/esos/internal/host/scstd"
)

// ports lists the ports of this machine that a driver could serve at.
func ports(d config.Driver) ([]string, error) {
	var names []string
	var err error
	switch d {
	case config.DriverSRP:
		names, err = host.Adapters{}.InfiniBand()
	case config.DriverFC, config.DriverFCoE:
		names, err = host.Adapters{}.FibreChannel()
	}
	for i := range names {
		names[i] = d.TargetName(names[i])
	}
	return names, err
}

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
			return lio.Start(ctx, lio.Options{Kernel: kernel, SameRoot: kernfs.SameRoot, Load: kernfs.Modprobe, Ports: ports, RoCE: host.Adapters{}.RoCE,
				RunDir: o.RunDir, StateDir: filepath.Join(state, "lio"), DataDir: o.DataDir, Log: o.Log})
		}},
		"scst": {Supports: scst.Supports, Start: func(ctx context.Context) (choice.Serving, error) {
			kernel := kernfs.Tree{Root: kernfs.SCST}
			if err := kernel.Load(ctx, "scst"); err != nil {
				return nil, fmt.Errorf("%w: SCST is not in this image, or not for its kernel; make one with it (mkesos build --deb FILE takes SCST's own packages, modules and tools), or use engine: native or lio", err)
			}
			return scst.Start(ctx, scst.Options{Kernel: kernel, KernelLog: kernfs.Messages{}, Daemon: scstd.Daemon{}, SameRoot: kernfs.SameRoot,
				Load: kernfs.Modprobe, Ports: ports, RunDir: o.RunDir, StateDir: filepath.Join(state, "scst"), DataDir: o.DataDir, Log: o.Log})
		}},
	}, filepath.Join(o.RunDir, "engine"))
}
