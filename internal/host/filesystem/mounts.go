package filesystem

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/esos-project/esos/internal/host"
)

// Mount is a mounted file system.
type Mount struct {
	Target   string
	Source   string // its block device
	Type     string
	Options  []string
	ReadOnly bool  // the file system itself, whatever the mount says
	Size     int64 // bytes for files, without what the file system needs itself
	Used     int64
	Free     int64
}

// Mounts lists what is mounted of block devices.
func Mounts(ctx context.Context, m Machine) ([]Mount, error) {
	ctx, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	out, err := m.Output(ctx, host.Call{Name: "findmnt", Args: []string{
		"--json", "--bytes", "--list", "--real", "--nofsroot", "--output", "TARGET,SOURCE,FSTYPE,OPTIONS,FS-OPTIONS,SIZE,USED,AVAIL",
	}})
	if err != nil && (exitCode(err) != 1 || len(bytes.TrimSpace(out)) > 0) { // 1: there is none
		return nil, fmt.Errorf("list what is mounted: %w", err)
	}
	return parseMounts(out)
}

func parseMounts(text []byte) ([]Mount, error) {
	if len(bytes.TrimSpace(text)) == 0 {
		return nil, nil
	}
	var list struct {
		FileSystems []struct {
			Target  string `json:"target"`
			Source  string `json:"source"`
			Type    string `json:"fstype"`
			Options string `json:"options"`
			Super   string `json:"fs-options"`
			Size    int64  `json:"size"`
			Used    int64  `json:"used"`
			Free    int64  `json:"avail"`
		} `json:"filesystems"`
	}
	if err := json.Unmarshal(text, &list); err != nil {
		return nil, fmt.Errorf("list what is mounted: findmnt's answer: %w", err)
	}
	var mounts []Mount
	for _, f := range list.FileSystems {
		m := Mount{Target: f.Target, Source: f.Source, Type: f.Type, Options: strings.Split(f.Options, ","), Size: f.Size, Used: f.Used, Free: f.Free}
		m.ReadOnly = slices.Contains(strings.Split(f.Super, ","), "ro")
		mounts = append(mounts, m)
	}
	return mounts, nil
}

// At finds what is mounted at a directory: the last one, which lies over the
// others.
func At(mounts []Mount, where string) (Mount, bool) {
	for _, m := range slices.Backward(mounts) {
		if path.Clean(m.Target) == path.Clean(where) {
			return m, true
		}
	}
	return Mount{}, false
}
