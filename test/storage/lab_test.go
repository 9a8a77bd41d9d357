package storage

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/esos-project/esos/internal/engine/enginetest/initiator"
	"github.com/esos-project/esos/internal/vm"
	"github.com/esos-project/esos/test/appliance"
	"github.com/esos-project/esos/test/level"
	"github.com/esos-project/esos/test/stand"
)

var shared stand.Shared

func TestMain(m *testing.M) { shared.Main(m) }

// array is an appliance with blank disks d1, d2, ...
type array struct {
	*stand.Stand
	disks []vm.Drive
}

// newArray boots an appliance with n blank disks of a size.
func newArray(ctx context.Context, t *testing.T, n int, size int64, o appliance.Options) *array {
	t.Helper()
	a := &array{}
	for i := range n {
		serial := fmt.Sprintf("d%d", i+1)
		file, err := shared.Lab(t).Blank(t.Name()+"-"+serial, size)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = os.Remove(file) })
		a.disks = append(a.disks, vm.Drive{File: file, Serial: serial})
	}
	o.Others = a.disks
	if o.Memory == 0 {
		o.Memory = 3072 // VDO's index alone takes some hundred MiB
	}
	a.Stand = shared.New(ctx, t, o)
	a.Boot(ctx)
	return a
}

// example is a document of the examples.
func example(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(level.Root(t), "examples", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// apply brings a document into force and makes sure that there is nothing left
// to do.
func (a *array) apply(ctx context.Context, document string, flags ...string) string {
	a.T.Helper()
	began := time.Now()
	said := a.Pipe(ctx, strings.Join(append([]string{"esos apply -y -f -"}, flags...), " "), document)
	a.T.Logf("applied in %.0f s", time.Since(began).Seconds())
	a.nothingToDo(ctx, document)
	return said
}

func (a *array) nothingToDo(ctx context.Context, document string) {
	a.T.Helper()
	if again := a.Pipe(ctx, "esos plan -f -", document); !strings.Contains(again, "no changes") {
		a.T.Errorf("the document that was applied is not what there is:\n%s", again)
	}
}

// login opens a session of an initiator with a target.
func (a *array) login(ctx context.Context, name, target string, isid uint32) (*initiator.Session, error) {
	return initiator.Login(ctx, initiator.Options{Address: a.Portal(), Target: target, Initiator: name, ISID: isid, Timeout: 20 * time.Second})
}

// waitLogin logs in as soon as that is possible.
func (a *array) waitLogin(ctx context.Context, name, target string) *initiator.Session {
	a.T.Helper()
	// Attempts overlap. One ISID for all would have each end the session of the
	// one before.
	var isid atomic.Uint32
	first := make(chan *initiator.Session, 1)
	err := appliance.Poll(ctx, func(ctx context.Context) error {
		s, err := a.login(ctx, name, target, isid.Add(1))
		if err != nil {
			return err
		}
		// A target can be there before its LUNs.
		if _, err = s.Read(0, 0, 1, 512); err == nil {
			select {
			case first <- s:
				return nil
			default: // another was quicker
			}
		}
		_ = s.Close()
		return err
	})
	if err != nil {
		a.T.Fatalf("%s logs in to %s: %v\nlast lines on the console:\n%s", name, target, err, a.Console().Tail(40))
	}
	return <-first
}

// identities is what an initiator is told about each LUN: capacity, serial
// number, and the designators, NAA and relative target port among them.
func identities(t *testing.T, s *initiator.Session) map[uint16]string {
	t.Helper()
	luns, err := s.LUNs()
	if err != nil {
		t.Fatal(err)
	}
	seen := map[uint16]string{}
	for _, lun := range luns {
		blocks, length, err := s.Capacity(lun)
		if err != nil {
			t.Fatal(err)
		}
		text := fmt.Sprintf("%d blocks of %d bytes", blocks, length)
		for _, page := range []byte{0x80, 0x83} { // SPC-5 7.7.19, 7.7.6
			data, err := s.Must("inquiry", lun, []byte{0x12, 1, page, 1, 0, 0}, nil, 256)
			if err != nil {
				t.Fatal(err)
			}
			text += fmt.Sprintf(", page %#x %x", page, data)
		}
		seen[lun] = text
	}
	return seen
}

// restart shuts the appliance down in good order and has it start again with
// the disks that it has now.
func (a *array) restart(ctx context.Context) {
	a.T.Helper()
	a.ShutDown(ctx)
	a.On(ctx)
}

// shell logs in over SSH, once the appliance answers.
func (a *array) shell(ctx context.Context) {
	a.T.Helper()
	r, err := a.SSH(ctx)
	if err != nil {
		a.T.Fatal(err)
	}
	a.Remote = r
	a.Until(ctx, "esos status >/dev/null 2>&1 && echo it answers", "it answers")
}
