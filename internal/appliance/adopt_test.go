package appliance

import (
	"errors"
	"io/fs"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/engine/enginetest"
	"github.com/esos-project/esos/internal/host"
)

// lateDisk is a machine whose disk /dev/disk/by-id/late is not there at once.
type lateDisk struct {
	host.Files
	there atomic.Bool
}

func (l *lateDisk) Stat(path string) (host.FileInfo, error) {
	if path != "/dev/disk/by-id/late" {
		return l.Files.Stat(path)
	}
	if !l.there.Load() {
		return host.FileInfo{}, &fs.PathError{Op: "look at", Path: path, Err: fs.ErrNotExist}
	}
	return host.FileInfo{Path: path, Size: 1 << 20, Block: true, ID: host.FileID{Device: 2049}}, nil
}

// early is a document whose image can be made at once, and whose disk and
// second portal come later.
func early() *config.Document {
	d := document()
	d.Devices = append(d.Devices, config.Device{Name: "late", Handler: config.BlockIO, Path: "/dev/disk/by-id/late"})
	d.ISCSI.Portals = append(d.ISCSI.Portals, config.Portal{Name: "p2", Address: "192.0.2.1:3260"})
	d.Targets[0].LUNs = append(d.Targets[0].LUNs, config.LUN{LUN: 1, Device: "late"})
	return d
}

// TestAdopt begins on a machine that is still starting up: what can be served
// is, and the rest follows.
func TestAdopt(t *testing.T) {
	dir, e, disk := t.TempDir(), &enginetest.Memory{}, &lateDisk{}
	var address atomic.Bool
	e.Fail = func(op, object string) error {
		if op == "PutPortal" && object == "p2" && !address.Load() {
			return errors.New("this machine has no such address")
		}
		return nil
	}
	o := Options{DataDir: dir, Engine: e, Log: quiet(), Retry: time.Hour, Files: disk,
		Adopt: func() (*config.Document, error) { return early(), nil }}
	a, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	doc, rev, _ := a.Document(t.Context())
	if rev.Number != 1 || len(doc.Devices) != 2 || a.Refused() != nil {
		t.Errorf("revision %+v, %d devices, refused: %v", rev, len(doc.Devices), a.Refused())
	}
	calls := e.Calls()
	for _, want := range []string{"PutDevice db01", "PutPortal p1", "PutTarget " + diskIQN, "PutLUN " + diskIQN + "//0"} {
		if !slices.Contains(calls, want) {
			t.Errorf("%q is not among %q", want, calls)
		}
	}
	if slices.Contains(calls, "PutDevice late") {
		t.Errorf("a disk that is not there is served: %q", calls)
	}
	st, _ := a.Status(t.Context())
	problems := strings.Join(st.Problems, "\n")
	if st.State != StateDegraded || !strings.Contains(problems, "/dev/disk/by-id/late does not exist") || !strings.Contains(problems, "no such address") {
		t.Errorf("status %s:\n%s", st.State, problems)
	}

	disk.there.Store(true)
	address.Store(true)
	a.Retry()
	for end := time.Now().Add(10 * time.Second); st.State != StateOK && time.Now().Before(end); time.Sleep(time.Millisecond) {
		st, _ = a.Status(t.Context())
	}
	if calls := e.Calls(); st.State != StateOK || !slices.Contains(calls, "PutDevice late") || !slices.Contains(calls, "PutPortal p2") ||
		!slices.Contains(calls, "PutLUN "+diskIQN+"//1") {
		t.Errorf("after the disk and the address came: %s, %q, calls %q", st.State, st.Problems, calls)
	}
	a.Retry() // all is well: nothing to do
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}

	// The next start has a revision; the first document is not asked for.
	o.Adopt = func() (*config.Document, error) { t.Error("asked again"); return nil, errors.New("no") }
	if a, err = Open(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	if _, rev, _ := a.Document(t.Context()); rev.Number != 1 {
		t.Errorf("revision %d", rev.Number)
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestAdoptRefused: an array whose first document is no good runs all the
// same, says why, and takes another.
func TestAdoptRefused(t *testing.T) {
	noSize := document()
	noSize.Devices[0].Size = 0
	for name, c := range map[string]struct {
		doc  *config.Document
		err  error
		want string
	}{
		"unreadable": {err: errors.New("esos.yaml:3: no such field"), want: "esos.yaml:3"},
		"invalid":    {doc: &config.Document{Version: 1, Name: "array", Targets: document().Targets}, want: "db01"},
		"impossible": {doc: noSize, want: "give the device a size"},
	} {
		t.Run(name, func(t *testing.T) {
			a, err := Open(t.Context(), Options{DataDir: t.TempDir(), Engine: &enginetest.Memory{}, Log: quiet(), Retry: time.Hour,
				Adopt: func() (*config.Document, error) { return c.doc, c.err }})
			if err != nil {
				t.Fatal(err)
			}
			defer a.Close()
			if _, rev, _ := a.Document(t.Context()); rev.Number != 0 {
				t.Errorf("revision %d is in force", rev.Number)
			}
			if err := a.Refused(); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("refused: %v, want %q", err, c.want)
			}
			if got := apply(t, a, Change{Document: document()}); got.Revision.Number != 1 {
				t.Errorf("another document: %+v", got)
			}
		})
	}
}
