package netlink

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// message is what the kernel sends.
func message(parts ...string) []byte { return []byte(strings.Join(parts, "\x00") + "\x00") }

// removed is a stick being pulled, as Linux 6.12 tells it.
func removed() []byte {
	return message("remove@/devices/pci0000:00/0000:00:04.0/usb1/1-1/1-1:1.0/host2/target2:0:0/2:0:0:0/block/sda/sda4",
		"ACTION=remove", "DEVPATH=/devices/pci0000:00/0000:00:04.0/usb1/1-1/1-1:1.0/host2/target2:0:0/2:0:0:0/block/sda/sda4",
		"SUBSYSTEM=block", "MAJOR=8", "MINOR=4", "DEVNAME=sda4", "DEVTYPE=partition", "DISKSEQ=9", "PARTN=4", "PARTNAME=esos_conf", "SEQNUM=1743")
}

func TestParseUevent(t *testing.T) {
	e, err := ParseUevent(removed())
	if err != nil {
		t.Fatal(err)
	}
	if e.Action != "remove" || e.Subsystem != "block" || !strings.HasSuffix(e.Path, "/sda/sda4") || e.Env["PARTNAME"] != "esos_conf" {
		t.Errorf("%+v", e)
	}
	if !OfBlockDevice(removed()) || OfBlockDevice(message("add@/devices/virtual/net/br0", "ACTION=add", "SUBSYSTEM=net")) {
		t.Error("OfBlockDevice does not tell a disk from a bridge")
	}
	for name, m := range map[string][]byte{
		"nothing":      nil,
		"no path":      message("add@", "SUBSYSTEM=block"),
		"no action":    message("@/devices/x", "SUBSYSTEM=block"),
		"udev's own":   message("libudev", "\xfe\xed\xca\xfe"),
		"no subsystem": message("add@/devices/x", "ACTION=add"),
		"no pair":      message("add@/devices/x", "SUBSYSTEM"),
		"cut off":      []byte("add@/devices/x\x00SUBSYSTEM=block"),
	} {
		if e, err := ParseUevent(m); err == nil {
			t.Errorf("%s: read as %+v", name, e)
		}
	}
}

func FuzzParseUevent(f *testing.F) {
	f.Add(removed())
	f.Add([]byte("add@/x\x00SUBSYSTEM=net\x00"))
	f.Fuzz(func(t *testing.T, m []byte) {
		e, err := ParseUevent(m)
		if err != nil {
			return
		}
		// What was read, written again, reads the same.
		parts := []string{e.Action + "@" + e.Path}
		for k, v := range e.Env {
			parts = append(parts, k+"="+v)
		}
		again, err := ParseUevent(message(parts...))
		if err != nil {
			t.Fatalf("%q: %v", m, err)
		}
		if diff := cmp.Diff(e, again); diff != "" {
			t.Errorf("%q: %s", m, diff)
		}
	})
}

// script is a kernel that says what it is told to.
type script struct {
	messages [][]byte // nil: messages were lost
	end      error
}

func (s *script) Receive(context.Context) ([]byte, error) {
	if len(s.messages) == 0 {
		return nil, s.end
	}
	m := s.messages[0]
	s.messages = s.messages[1:]
	if m == nil {
		return nil, ErrLost
	}
	return m, nil
}

func TestFollow(t *testing.T) {
	bridge := message("add@/devices/virtual/net/br0", "SUBSYSTEM=net")
	var log bytes.Buffer
	n := 0
	Follow(t.Context(), &script{messages: [][]byte{removed(), bridge, nil, []byte("rubbish")}, end: errors.New("no kernel")},
		slog.New(slog.NewTextHandler(&log, nil)), OfBlockDevice, func() { n++ })
	if n != 2 { // the disk, and what was lost
		t.Errorf("%d changes, want 2", n)
	}
	if !strings.Contains(log.String(), "no kernel") {
		t.Errorf("it gives up in silence: %q", log.String())
	}
	log.Reset()
	Follow(t.Context(), &script{end: os.ErrClosed}, slog.New(slog.NewTextHandler(&log, nil)), OfBlockDevice, func() {})
	if log.Len() > 0 {
		t.Errorf("an orderly end is told of: %q", log.String())
	}
}

// TestSources opens the real ones; hearing them end is all that can be asked
// of a machine that is left alone.
func TestSources(t *testing.T) {
	for name, open := range map[string]func() (*Source, error){"devices": Devices, "addresses": Addresses} {
		t.Run(name, func(t *testing.T) {
			s, err := open()
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			ended := make(chan struct{})
			go func() {
				defer close(ended)
				Follow(ctx, s, slog.New(slog.DiscardHandler), func([]byte) bool { return false }, func() {})
			}()
			time.Sleep(20 * time.Millisecond)
			cancel()
			select {
			case <-ended:
			case <-time.After(5 * time.Second):
				t.Error("it goes on listening")
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}
