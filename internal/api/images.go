package api

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	v1 "github.com/esos-project/esos/internal/api/v1"
	"github.com/esos-project/esos/internal/appliance"
	"github.com/esos-project/esos/internal/library"
)

type (
	imagesOutput struct {
		Body v1.Images
	}
	copyImageInput struct {
		Body v1.ImageCopy
	}
	deleteImageInput struct {
		Path    string   `query:"path" required:"true" maxLength:"4096" doc:"The file's path, as the list has it."`
		Destroy []string `query:"destroy,explode" maxItems:"10" doc:"image/FILESYSTEM/PATH, or nothing is deleted."`
	}
	uploadInput struct {
		FileSystem string `path:"filesystem" maxLength:"64" doc:"The file system's name; - for the data directory."`
		Name       string `path:"name" maxLength:"200" doc:"The file's name, which ends in .iso, .img, .raw, .bin, .vhd, .vmdk or .qcow2. ISO files are put into the directory iso."`
		SHA256     string `query:"sha256" pattern:"^([0-9a-fA-F]{64})?$" doc:"The SHA-256 that it must have, in hex; it is not kept otherwise."`
		length     int64
		body       io.Reader
	}
	uploadOutput struct {
		Body v1.ImageReceived
	}
)

// Resolve takes the body as it comes: it goes to a file.
func (in *uploadInput) Resolve(ctx huma.Context) []error {
	in.length = -1
	if n, err := strconv.ParseInt(ctx.Header("Content-Length"), 10, 64); err == nil {
		in.length = n
	}
	in.body = &patient{ctx}
	return nil
}

// patient reads a body that may take long, as long as it goes on.
type patient struct{ ctx huma.Context }

// stalled is how long a body may pause.
const stalled = time.Minute

func (p *patient) Read(b []byte) (int, error) {
	if err := p.ctx.SetReadDeadline(time.Now().Add(stalled)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return 0, err
	}
	return p.ctx.BodyReader().Read(b)
}

const imagesPath = "/images"

// isUpload says whether a request's body goes to a file, and not into memory.
func isUpload(r *http.Request) bool {
	return r.Method == http.MethodPut && strings.HasPrefix(r.URL.Path, v1.Prefix+imagesPath+"/")
}

// images are the routes of image files and ISO files. They work with paths of
// the machine, so that only admins change any (permitPaths).
func (s *Server) images() {
	huma.Register(s.huma, operation(Viewer, http.MethodGet, imagesPath, "listImages", "images", "List the image files and ISO files"),
		func(ctx context.Context, _ *nothing) (*imagesOutput, error) {
			all, err := s.app.Images(ctx)
			out := &imagesOutput{v1.Images{Images: imagesOf(all)}}
			if err != nil {
				out.Body.Problems = []string{err.Error()}
			}
			return out, nil
		})
	copying := operation(Admin, http.MethodPost, imagesPath+"/copy", "copyImage", "images", "Copy an image file")
	copying.DefaultStatus = http.StatusAccepted
	huma.Register(s.huma, copying, func(ctx context.Context, in *copyImageInput) (*operationOutput, error) {
		op, err := s.app.CopyImage(ctx, in.Body.From, in.Body.To, asker(ctx).name)
		return started(op, err)
	})
	upload := operation(Admin, http.MethodPut, imagesPath+"/{filesystem}/{name}", "uploadImage", "images", "Send an image file or ISO file to the array")
	upload.DefaultStatus = http.StatusCreated
	upload.RequestBody = &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{"application/octet-stream": {Schema: &huma.Schema{Type: huma.TypeString, Format: "binary"}}}}
	huma.Register(s.huma, upload, func(ctx context.Context, in *uploadInput) (*uploadOutput, error) {
		got, err := s.app.ReceiveImage(ctx, in.FileSystem, in.Name, in.body, in.length, in.SHA256, asker(ctx).name)
		if err != nil {
			return nil, answer(err)
		}
		return &uploadOutput{v1.ImageReceived{Path: got.Path, Size: got.Size, SHA256: got.SHA256}}, nil
	})
	huma.Register(s.huma, operation(Admin, http.MethodDelete, imagesPath, "deleteImage", "images", "Delete an image file or ISO file that no device uses"),
		func(ctx context.Context, in *deleteImageInput) (*nothing, error) {
			ctx, cancel := context.WithTimeout(ctx, changeWait)
			defer cancel()
			return nil, answer(s.app.DeleteImage(ctx, in.Path, in.Destroy, asker(ctx).name))
		})
}

// started is the answer to what goes on as an operation.
func started(op *appliance.Operation, err error) (*operationOutput, error) {
	if err != nil {
		return nil, answer(err)
	}
	w := operationOf(op)
	return &operationOutput{Location: v1.Prefix + "/operations/" + w.ID, Body: w}, nil
}

func imagesOf(all []library.File) []v1.Image {
	list := make([]v1.Image, 0, len(all))
	for _, f := range all {
		list = append(list, v1.Image{Path: f.Path, FileSystem: f.FileSystem, Kind: f.Kind, Size: f.Size, Allocated: f.Allocated, UsedBy: f.Users})
	}
	return list
}
