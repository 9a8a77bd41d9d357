package filesystem

import (
	"bytes"
	"context"
	"fmt"
	"strconv"

	"github.com/esos-project/esos/internal/host"
)

// File is a file on a file system.
type File struct {
	Path      string // below the mount point
	Size      int64  // bytes
	Allocated int64  // bytes of space that it takes
}

// Files lists the files at a mount point, of all directories but not of what
// is mounted further down.
func Files(ctx context.Context, m Machine, where string) ([]File, error) {
	ctx, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	out, err := m.Output(ctx, host.Call{Name: "find", Args: []string{"-P", where, "-xdev", "-type", "f", "-printf", `%s\t%b\t%P\0`}})
	if err != nil {
		return nil, fmt.Errorf("list the files at %s: %w", where, err)
	}
	return parseFiles(out)
}

// parseFiles reads sizes, blocks of 512 bytes and names, each file's ended by
// a NUL: a name may have anything else in it.
func parseFiles(text []byte) ([]File, error) {
	var files []File
	for line := range bytes.SplitSeq(text, []byte{0}) {
		if len(line) == 0 {
			continue
		}
		part := bytes.SplitN(line, []byte{'\t'}, 3)
		if len(part) != 3 {
			return nil, fmt.Errorf("find's answer: %q", line)
		}
		size, err := strconv.ParseInt(string(part[0]), 10, 64)
		if err != nil {
			return nil, fmt.Errorf("find's answer: %w", err)
		}
		blocks, err := strconv.ParseInt(string(part[1]), 10, 64)
		if err != nil {
			return nil, fmt.Errorf("find's answer: %w", err)
		}
		files = append(files, File{Path: string(part[2]), Size: size, Allocated: blocks * 512})
	}
	return files, nil
}
