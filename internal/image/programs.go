package image

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// programs are ESOS's own, by their place in the root or, for esos-init, in
// the initramfs.
var programs = []struct{ name, place string }{
	{"esos", "usr/bin/esos"},
	{"esos-target", "usr/sbin/esos-target"},
	{"esos-init", ""},
}

// buildPrograms compiles them, static and without what differs from machine to
// machine. Go's own cache makes a second run short, so it is never skipped.
func (b *builder) buildPrograms(ctx context.Context) error {
	for _, p := range programs {
		b.Progress.Say("%s", p.name)
		cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false",
			"-ldflags", "-s -w -buildid= -X "+module+"/internal/version.stamped="+b.Version,
			"-o", filepath.Join(b.bin(), p.name), "./cmd/"+p.name)
		cmd.Dir = b.Source
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH=amd64", "GOAMD64=v1", "GOFLAGS=-mod=readonly")
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("compile %s: %w\n%s", p.name, err, lastLines(out, 30))
		}
	}
	return nil
}

const module = "github.com/esos-project/esos"

// programDigests are what the steps that take the programs in depend on.
func (b *builder) programDigests() (map[string]string, error) {
	digests := map[string]string{}
	for _, p := range programs {
		d, err := digestFile(filepath.Join(b.bin(), p.name))
		if err != nil {
			return nil, err
		}
		digests[p.name] = d
	}
	return digests, nil
}
