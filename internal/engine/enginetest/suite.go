// Package enginetest is one suite for every engine: what engine.Engine
// promises, seen from both sides, the daemon's and an initiator's.
package enginetest

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/engine"
	"github.com/esos-project/esos/internal/engine/enginetest/initiator"
)

// Subject is an engine under test that serves nothing yet.
type Subject struct {
	Engine engine.Engine
	// DataDir is what relative paths of devices are below of.
	DataDir string
	// Portal is an address for a portal, and Address tells where the portal of
	// that name then listens (it may have been port 0). Without Address nobody
	// can log in: what initiators see is not tested then.
	Portal  string
	Address func(t *testing.T, portal string) string
	// Second is another address; Portal again if that is port 0.
	Second string
	// Trim takes out of a document, or says otherwise, what this engine refuses
	// in Supports; nil if it refuses nothing.
	Trim func(d *config.Document)
	// NoMemory says that the engine has no memory disks: files take their place.
	NoMemory bool
	// Untested are tests that this engine cannot pass, by name, and why.
	Untested map[string]string
	// Lacks is what no engine on this kernel can do.
	Lacks Lacks
}

// Lacks names what a kernel's target does not do or tell, whatever its engine
// asks it for. The suite then holds the engine to all the rest.
type Lacks struct {
	Growth   bool // initiators are not told that a device grew
	Memory   bool // a memory disk keeps its size
	Patterns bool // initiators are known by their whole names, or not at all; strangers see what everybody sees
	Portals  bool // sessions outlive the portal that they came by
	Announce bool // discovery tells the address that was asked
	Kinds    bool // reads and writes are not counted apart, nor single bytes, nor how long they took
}

// Run runs the suite. start makes a subject for one test and cleans up by itself.
func Run(t *testing.T, start func(t *testing.T) Subject) {
	for _, c := range []struct {
		name string
		test func(*lab)
		in   bool // an initiator logs in
	}{
		{"DevicesComeAndGo", devicesComeAndGo, false},
		{"DevicesRefuse", devicesRefuse, false},
		{"DeviceGrowsUnderItsInitiator", deviceGrows, true},
		{"MappedDeviceStays", mappedDeviceStays, false},
		{"CDROMTakesAnotherMedium", cdromTakesAnotherMedium, true},
		{"TargetsAreObservedAsPut", targetsAreObservedAsPut, false},
		{"EverythingIsDeletedTwice", everythingIsDeletedTwice, false},
		{"HostGroupsDecideWhatIsSeen", hostGroupsDecide, true},
		{"ReadOnlyStaysAsItIs", readOnlyStays, true},
		{"LUNsChangeUnderASession", lunsChangeUnderASession, true},
		{"TargetChangesUnderASession", targetChangesUnderASession, true},
		{"DisabledTargetEndsItsSessions", disabledTargetEndsItsSessions, true},
		{"PortalsComeAndGo", portalsComeAndGo, true},
		{"SessionsAreListedAndClosed", sessionsAreListedAndClosed, true},
		{"StatisticsOutliveSessions", statisticsOutliveSessions, true},
		{"EventsTellOfSessions", eventsTellOfSessions, true},
		{"AccessStatesHold", accessStatesHold, true},
		{"PortalsAreObservedAsPut", portalsAreObservedAsPut, false},
		{"AccessStatesAreObservedAsPut", accessStatesAreObservedAsPut, false},
		{"SecretsAreKept", secretsAreKept, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := &lab{T: t, Subject: start(t)}
			if c.in && l.Address == nil {
				t.Skip("NOT TESTED: no initiator can log in to this engine here")
			}
			if why := l.Untested[c.name]; why != "" {
				t.Skip("NOT TESTED: " + why)
			}
			c.test(l)
		})
	}
}

// Names that the tests use.
const (
	iqn   = "iqn.2026-11.org.esos-project:suite"
	named = iqn + ":named" // a target of groups only
	alice = "iqn.1993-08.org.debian:01:alice"
	bob   = "iqn.1993-08.org.debian:01:bob"
	carol = "iqn.1993-08.org.debian:01:carol"
)

// lab is a test with its subject.
type lab struct {
	*testing.T
	Subject
}

// ok ends the test if err is one.
func (l *lab) ok(err error) {
	l.Helper()
	if err != nil {
		l.Fatal(err)
	}
}

// refused reports an error that should have been, and returns what was said.
func (l *lab) refused(what string, err error) string {
	l.Helper()
	if err == nil {
		l.Errorf("%s: nobody refused it", what)
		return ""
	}
	return err.Error()
}

func (l *lab) observe() engine.State {
	l.Helper()
	s, err := l.Engine.Observe(l.Context())
	l.ok(err)
	return s
}

// image makes a sparse image file below the data directory.
func (l *lab) image(name string, size int64) {
	l.Helper()
	path := filepath.Join(l.DataDir, name)
	l.ok(os.WriteFile(path, nil, 0o600))
	l.ok(os.Truncate(path, size))
}

// trim leaves of a document what the engine can do, and makes sure of that.
func (l *lab) trim(d config.Document) config.Document {
	l.Helper()
	if l.Trim != nil {
		l.Trim(&d)
	}
	for _, err := range l.Engine.Supports(&d) {
		l.Errorf("the engine does not support what is tested: %v", err)
	}
	return d
}

// disk declares a device with an identity, as the daemon would complete it.
func disk(name string, handler config.Handler, size int64) config.Device {
	d := config.Device{Name: name, Handler: handler, Size: config.Size(size)}
	serial := fmt.Sprintf("%016x", sum(name))
	d.Identity = config.Identity{Serial: serial, NAA: "6001405" + serial + "000000000", T10ID: "t10-" + name}
	if handler == config.FileIO {
		d.Path = name + ".img"
	}
	return d.WithDefaults()
}

// memory declares a memory disk, or what takes its place, with its image.
func (l *lab) memory(name string, size int64) config.Device {
	l.Helper()
	if !l.NoMemory {
		return disk(name, config.Memory, size)
	}
	if _, err := os.Stat(filepath.Join(l.DataDir, name+".img")); err != nil {
		l.image(name+".img", size)
	}
	return disk(name, config.FileIO, size)
}

// sum is a number for a name.
func sum(name string) (n uint32) {
	for _, c := range name {
		n = n*131 + uint32(c)
	}
	return n
}

// serve puts a portal, a target and a memory disk of a MiB as LUN 0 of its
// default map, and returns the portal's address.
func (l *lab) serve() string {
	l.Helper()
	l.ok(l.Engine.PutDevice(l.Context(), l.memory("disk0", 1<<20)))
	l.ok(l.Engine.PutTarget(l.Context(), config.Target{Name: iqn, RelativeIDs: map[int]int{1: 1}}))
	l.ok(l.Engine.PutLUN(l.Context(), iqn, "", config.LUN{LUN: 0, Device: "disk0"}))
	l.ok(l.Engine.PutPortal(l.Context(), config.Portal{Name: "main", Address: l.Portal, Group: 1}))
	if l.Address == nil {
		return ""
	}
	return l.Address(l.T, "main")
}

// byName has initiators seen LUN 0 of the target of serve in a group of their
// own, and takes it away from everybody else.
func (l *lab) byName(group string, initiators ...string) {
	l.Helper()
	l.ok(l.Engine.DeleteLUN(l.Context(), iqn, "", 0))
	l.ok(l.Engine.PutGroup(l.Context(), iqn, config.Group{Name: group, Initiators: initiators}))
	l.ok(l.Engine.PutLUN(l.Context(), iqn, group, config.LUN{LUN: 0, Device: "disk0"}))
}

// login logs an initiator in and reads the first unit attentions away.
func (l *lab) login(address, name string) *initiator.Session {
	l.Helper()
	s, err := initiator.Login(l.Context(), initiator.Options{Address: address, Target: iqn, Initiator: name, ISID: sum(name)})
	l.ok(err)
	l.Cleanup(func() { _ = s.Abandon() })
	_, err = s.Attentions(0)
	l.ok(err)
	return s
}

// same compares what is served with what should be.
func (l *lab) same(what string, want, got any) {
	l.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		l.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

// attention reports a unit attention that an initiator does not hear.
func (l *lab) attention(s *initiator.Session, lun, code uint16) {
	l.Helper()
	codes, err := s.Attentions(lun)
	l.ok(err)
	if !slices.Contains(codes, code) {
		l.Errorf("LUN %d: unit attentions %04x, want %04x among them", lun, codes, code)
	}
}

// luns are what an initiator sees; they come in no order (SPC-5 6.33).
func (l *lab) luns(s *initiator.Session) []uint16 {
	l.Helper()
	luns, err := s.LUNs()
	l.ok(err)
	slices.Sort(luns)
	return luns
}

// soon waits for something to become true.
func (l *lab) soon(what string, is func() bool) {
	l.Helper()
	for end := time.Now().Add(5 * time.Second); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			l.Fatalf("%s: not within 5 s", what)
		}
	}
}
