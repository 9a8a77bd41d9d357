package power

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/test/appliance"
	"github.com/esos-project/esos/test/level"
	"github.com/esos-project/esos/test/stand"
)

// Files of the booted system that say which state it has.
const (
	stateFile = "/etc/esos-power/state"
	bulkFile  = "/etc/esos-power/bulk"
	revisions = "/var/lib/esos/revisions/*.yaml"
)

// bulk is a large setting that belongs to a state and compresses badly.
func bulk(state int) string {
	b := make([]byte, 60_000)
	r := rand.New(rand.NewPCG(uint64(state), 0))
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return strconv.Itoa(state) + "\n" + hex.EncodeToString(b) + "\n"
}

// saveByHand edits files of /etc by hand and saves them.
func saveByHand(ctx context.Context, r *appliance.Remote, state int) error {
	_, err := r.Pipe(ctx, fmt.Sprintf("mkdir -p /etc/esos-power && cat >%[1]s.new && mv %[1]s.new %[1]s && echo %[3]d >%[2]s && esos sync", bulkFile, stateFile, state), bulk(state))
	return err
}

const counter = "counter"

// declare makes the device whose serial number is the state.
func (s session) declare(ctx context.Context) {
	s.T.Helper()
	s.Run(ctx, "esos device create "+counter+" --handler vdisk_nullio --size 1GiB --serial state-0 --yes")
}

// applyDocument applies a whole document in which only the state is another.
func applyDocument(ctx context.Context, r *appliance.Remote, state int) error {
	_, err := r.Run(ctx, fmt.Sprintf("esos config show | sed 's/serial: \"*state-.*/serial: \"state-%d\"/' >/tmp/esos.yaml && esos apply --yes -f /tmp/esos.yaml", state))
	return err
}

// applied is the state in the newest revision of the document.
func applied(files map[string][]byte) (int, error) {
	var newest string
	for name := range files {
		if ok, _ := path.Match(revisions, name); ok && name > newest {
			newest = name
		}
	}
	if newest == "" {
		return 0, fmt.Errorf("no document came back")
	}
	doc, err := config.Decode(newest, files[newest])
	if err != nil {
		return 0, err
	}
	d, err := doc.FindDevice(counter)
	if err != nil {
		return 0, err
	}
	n, err := strconv.Atoi(strings.TrimPrefix(d.Identity.Serial, "state-"))
	if err != nil {
		return 0, fmt.Errorf("device %s has serial %q", counter, d.Identity.Serial)
	}
	return n, nil
}

// synced are the states in files that were edited by hand: that of the small
// one, which is written last, and that of the large one.
func synced(files map[string][]byte) (small, large int, err error) {
	if len(files[stateFile]) == 0 && len(files[bulkFile]) == 0 {
		return 0, 0, nil // before the first
	}
	if small, err = strconv.Atoi(strings.TrimSpace(string(files[stateFile]))); err != nil {
		return 0, 0, fmt.Errorf("%s has %q", stateFile, files[stateFile])
	}
	head, _, _ := bytes.Cut(files[bulkFile], []byte("\n"))
	if large, err = strconv.Atoi(string(head)); err != nil || bulk(large) != string(files[bulkFile]) {
		return 0, 0, fmt.Errorf("%s is no file that was ever written: %d bytes, it begins with %.40q", bulkFile, len(files[bulkFile]), files[bulkFile])
	}
	return small, large, nil
}

// TestCutsInSettings changes the settings again and again, by document and by
// hand, and cuts the power at moments of all that this wrote to the medium: the
// appliance boots, with all that was acknowledged, and with one state or the
// next, never with a mixture.
func TestCutsInSettings(t *testing.T) {
	level.Require(t, level.Smoke)
	have, err := level.Of()
	if err != nil {
		t.Fatal(err)
	}
	applies, syncs, count := 3, 4, 12
	if have >= level.Full {
		applies, syncs, count = 10, 12, 110
	}
	ctx := stand.Timeout(t, 3*stand.BootTimeout)
	s := newSession(ctx, t, true)
	s.Boot(ctx)
	s.declare(ctx)
	s.settle(ctx)
	began := s.position()
	var byDocument, byHand Promise
	for i := range max(applies, syncs) {
		if i < applies {
			byDocument = append(byDocument, s.attempt(i+1, func() error { return applyDocument(ctx, s.Remote, i+1) }))
		}
		if i < syncs {
			byHand = append(byHand, s.attempt(i+1, func() error { return saveByHand(ctx, s.Remote, i+1) }))
		}
	}
	s.settle(ctx)
	s.Off()

	log := s.writes()
	first, last := log.Before(began), len(log.Entries)
	seed := uint64(rand.Uint32())
	t.Logf("%d applies and %d syncs wrote entries %d to %d of the log; seed %d", applies, syncs, first, last, seed)
	r := newReplayer(t, log, first)
	var states []string
	for _, c := range cuts(log, first, last, count, seed) {
		_, a, err := r.boot(ctx, c, false, revisions, stateFile, bulkFile)
		if err != nil {
			t.Errorf("%v: %v", c, err)
			continue
		}
		at := log.Entries[c.N-1].End
		document, err := applied(a.Files)
		if err == nil {
			err = byDocument.Check(at, document)
		}
		if err != nil {
			t.Errorf("%v: the document: %v\nrestored: %+v", c, err, a.Report.Restored)
		}
		small, large, err := synced(a.Files)
		if err == nil {
			err = byHand.Check(at, small)
		}
		if err == nil {
			err = byHand.Check(at, large)
		}
		if err == nil && large != small && large != small+1 {
			err = fmt.Errorf("%s has state %d and %s state %d, which were never there together", stateFile, small, bulkFile, large)
		}
		if err != nil {
			t.Errorf("%v: files that were edited by hand: %v\nrestored: %+v", c, err, a.Report.Restored)
		}
		states = append(states, fmt.Sprintf("%d/%d", document, small))
	}
	slices.Sort(states)
	different := len(slices.Compact(slices.Clone(states)))
	t.Logf("%d cuts booted to %d different states; %d times a generation that was not whole was passed over", r.boots, different, r.skipped)
	if r.boots != count || different < min(applies, count/4) {
		t.Errorf("%d of %d cuts were booted, to %d different states", r.boots, count, different)
	}
}
