package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	v1 "github.com/esos-project/esos/internal/api/v1"
)

type (
	fileSystemsOutput struct {
		Body []v1.FileSystemState
	}
	storedFilesOutput struct {
		Body []v1.StoredFile
	}
	trimmedOutput struct {
		Body v1.Trimmed
	}
	checkedOutput struct {
		Body v1.Checked
	}
)

// filesystems are the routes of file systems as they are. What they should be
// is in the document.
func (s *Server) filesystems() {
	huma.Register(s.huma, operation(Viewer, http.MethodGet, "/storage/filesystems", "listFileSystems", "storage", "List the file systems that are declared, as they are"),
		func(ctx context.Context, _ *nothing) (*fileSystemsOutput, error) {
			all, err := s.app.FileSystems(ctx)
			out := &fileSystemsOutput{Body: []v1.FileSystemState{}}
			for _, f := range all {
				out.Body = append(out.Body, v1.FileSystemState{FileSystem: f.FileSystem, Path: f.Path(), Mounted: f.Mounted, ReadOnly: f.ReadOnly,
					Size: f.Size, Used: f.Used, Free: f.Free, Problem: f.Problem})
			}
			return out, storageAnswer(err)
		})
	huma.Register(s.huma, operation(Viewer, http.MethodGet, "/storage/filesystems/{name}/files", "listFiles", "storage", "List the files on a file system, and whose they are"),
		func(ctx context.Context, _ *nothing) (*storedFilesOutput, error) {
			files, err := s.app.FilesOn(ctx, at(ctx).name)
			out := &storedFilesOutput{Body: []v1.StoredFile{}}
			for _, f := range files {
				out.Body = append(out.Body, v1.StoredFile{Path: f.Path, Size: f.Size, Allocated: f.Allocated, Device: f.Device})
			}
			return out, storageAnswer(err)
		})
	huma.Register(s.huma, operation(Operator, http.MethodPost, "/storage/filesystems/{name}/trim", "trimFileSystem", "storage", "Tell the disks what of a file system is unused, now"),
		func(ctx context.Context, _ *nothing) (*trimmedOutput, error) {
			said, err := s.app.TrimFileSystem(ctx, at(ctx).name)
			return &trimmedOutput{v1.Trimmed{Said: said}}, storageAnswer(err)
		})
	huma.Register(s.huma, operation(Operator, http.MethodPost, "/storage/filesystems/{name}/check", "checkFileSystem", "storage", "Look for damage on a file system; nothing is changed"),
		func(ctx context.Context, _ *nothing) (*checkedOutput, error) {
			found, err := s.app.CheckFileSystem(ctx, at(ctx).name)
			return &checkedOutput{v1.Checked{Good: found.Good, Said: found.Said}}, storageAnswer(err)
		})
}
