package filesystems

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gdamore/tcell/v2"

	"github.com/esos-project/esos/internal/api/apitest"
	v1 "github.com/esos-project/esos/internal/api/v1"
	"github.com/esos-project/esos/internal/client"
	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/host/storagefake"
	"github.com/esos-project/esos/internal/tui/tuitest"
)

// shelf answers for the library of an array, as its API does: the library is
// real in the array of the test, and so looks into the file systems of the
// machine that the test runs on, not into those of the imitation. All else is
// the array's own answer.
type shelf struct {
	array  *apitest.Array
	images []v1.Image
	asked  []string // what was to be deleted, and what was named for it
}

// client is one that is answered by the shelf.
func (s *shelf) client(t *testing.T) *client.Client {
	t.Helper()
	pass := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(&url.URL{Scheme: "http", Host: "array"}) },
		Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "unix", s.array.Socket)
		}},
	}
	mux := http.NewServeMux()
	mux.Handle("/", pass)
	mux.HandleFunc("GET "+v1.Prefix+"/images", func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(v1.Images{Images: s.images, Problems: []string{"read /mnt/vdisks/images/lost+found: permission denied"}})
	})
	mux.HandleFunc("DELETE "+v1.Prefix+"/images", s.remove)
	socket := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: mux}
	go func() { _ = server.Serve(l) }()
	t.Cleanup(func() { _ = server.Close() })
	c, err := client.New(client.Options{Socket: socket})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// remove deletes a file that is named.
func (s *shelf) remove(w http.ResponseWriter, r *http.Request) {
	file, named := r.URL.Query().Get("path"), r.URL.Query()["destroy"]
	object := "image/" + strings.TrimPrefix(file, config.MountDir+"/")
	s.asked = append(s.asked, file+" "+strings.Join(named, " "))
	if !slices.Contains(named, object) {
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(http.StatusConflict)
		_ = json.NewEncoder(w).Encode(v1.Problem{Type: v1.ProblemDestroys, Title: "Data would be lost", Needs: []string{object},
			Errors: []v1.Fault{{Location: object, Message: "Delete file " + file + ": 512 MiB with 128 MiB of data is lost"}}})
		return
	}
	if err := (storagefake.Images{Machine: s.array.Disks}).Remove(file); err != nil {
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// TestShelf: files on a file system, as an array has them that serves from
// these.
func TestShelf(t *testing.T) {
	t.Parallel()
	t.Run("F5 remove vdisk file of a file system", func(t *testing.T) {
		t.Parallel()
		a := apitest.New(t, apitest.Options{Disks: 1})
		change(t, a, images)
		if err := a.Disks.Store("/mnt/vdisks/images/old.img", 512<<20); err != nil {
			t.Fatal(err)
		}
		change(t, a, func(doc *config.Document) {
			doc.Devices = append(doc.Devices, config.Device{Name: "cd", Handler: config.CDROM, Path: "/mnt/vdisks/images/old.img"})
		})
		s := &shelf{array: a, images: []v1.Image{
			{Path: "/mnt/vdisks/images/db01.img", FileSystem: "images", Kind: "image", Size: 1 << 30, Allocated: 1 << 28, UsedBy: []string{"device/db01"}},
			{Path: "/mnt/vdisks/images/iso/debian.iso", FileSystem: "images", Kind: "iso", Size: 600 << 20, Allocated: 600 << 20},
			{Path: "/mnt/vdisks/images/old.img", FileSystem: "images", Kind: "image", Size: 512 << 20, Allocated: 128 << 20, UsedBy: []string{"device/cd"}},
		}}
		// A clock that stands: the word at the bottom stays.
		c := tuitest.New(t, tuitest.Options{Client: s.client(t), Now: func() time.Time { return time.Unix(1_800_000_000, 0) }})
		open(t, c, "Image and ISO Library")
		c.Wait("iso/debian.iso")
		c.Golden("library")
		c.Press(tcell.KeyDown)
		c.Type("c")
		c.Shows("db01-copy.img")
		c.Golden("copy-form")
		c.Type(" ")
		c.Golden("choose-file")
		c.Escape()
		c.Press(tcell.KeyTab)
		c.Type(" ")
		c.Golden("choose-to-file-system")
		c.Escape()
		c.Escape()
		c.Escape()
		open(t, c, "Remove VDisk File")
		c.Enter()
		c.Wait("old.img")
		c.Type("old")
		c.Enter()
		c.Wait("CD-ROM drive cd has it inserted")
		c.Golden("file-is-in-a-drive")
		c.Press(tcell.KeyLeft, tcell.KeyEnter)
		c.CarryOut()
		c.Wait("This deletes old.img")
		c.Shows("512 MiB with 128 MiB of")
		c.Golden("delete")
		c.Field("image/images/old.img")
		c.Enter()
		c.Wait("Done: old.img is deleted")
		if dev, err := a.Document().FindDevice("cd"); err != nil || dev.Path != "" {
			t.Errorf("the drive is %+v, %v", dev, err)
		}
		if want := []string{"/mnt/vdisks/images/old.img ", "/mnt/vdisks/images/old.img image/images/old.img"}; !slices.Equal(s.asked, want) {
			t.Errorf("the array was asked for %q, want %q", s.asked, want)
		}
		if files, err := a.Client.FilesOn(t.Context(), "images"); err != nil || len(files) != 1 {
			t.Errorf("the file system has %+v, %v", files, err)
		}
	})
}
