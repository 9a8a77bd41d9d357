package power

import (
	"context"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/esos-project/esos/test/appliance"
	"github.com/esos-project/esos/test/level"
	"github.com/esos-project/esos/test/stand"
)

// TestKills kills the virtual machine while it saves settings, at moments of
// no order, and starts it again: it serves, with the last state that was
// acknowledged or the one that was asked for.
func TestKills(t *testing.T) {
	level.Require(t, level.Full)
	const kills = 8 // those of TestKillsInUpgrade make it ten
	ctx := stand.Timeout(t, time.Duration(kills+2)*stand.BootTimeout)
	seed := uint64(rand.Uint32())
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	s := newSession(ctx, t, false)
	s.Boot(ctx)
	s.declare(ctx)
	s.Run(ctx, "esos sync")
	acknowledged, asked := 0, 0
	for kill := range kills {
		// By document and by hand, in turn; the counter is one.
		changes := make(chan int, 1000)
		go changeUntilCut(ctx, s.Remote, asked, changes)
		// One of each is acknowledged, so that there is something to lose.
		for enough := asked + 2 + r.IntN(3); acknowledged < enough; {
			state, more := <-changes
			if !more {
				t.Fatalf("state %d was not acknowledged, though nobody had cut the power", acknowledged+1)
			}
			acknowledged = state
		}
		select {
		case <-time.After(time.Duration(r.IntN(1200)) * time.Millisecond):
		case <-ctx.Done():
			t.Fatal(ctx.Err())
		}
		s.Off()
		for state := range changes {
			acknowledged = state
		}
		asked = acknowledged + 1
		s.Boot(ctx)
		document, file := s.states(ctx)
		t.Logf("kill %d: state %d was acknowledged last; the document has %d, files that were edited by hand %d", kill+1, acknowledged, document, file)
		if found := max(document, file); found < acknowledged || found > asked {
			t.Errorf("kill %d: state %d came back, and state %d was acknowledged last", kill+1, found, acknowledged)
		}
		// The one of both that was not changed last has the state before.
		if least := min(document, file); least < acknowledged-1 {
			t.Errorf("kill %d: state %d came back, and state %d was acknowledged before the last", kill+1, least, acknowledged-1)
		}
		if out := s.Run(ctx, "esos status"); !strings.Contains(out, "appliance") {
			t.Errorf("kill %d: esos status says\n%s", kill+1, out)
		}
	}
}

// changeUntilCut changes the settings, odd states by document and even ones by
// hand, and tells of each that was acknowledged.
func changeUntilCut(ctx context.Context, r *appliance.Remote, last int, acknowledged chan<- int) {
	defer close(acknowledged)
	for state := last + 1; ; state++ {
		change := saveByHand
		if state%2 == 1 {
			change = applyDocument
		}
		if change(ctx, r, state) != nil {
			return
		}
		acknowledged <- state
	}
}

// states are those that the running appliance has.
func (s session) states(ctx context.Context) (document, file int) {
	s.T.Helper()
	show := s.Run(ctx, "esos device show "+counter+" -o yaml; cat "+stateFile+" 2>/dev/null || echo 0")
	for line := range strings.Lines(show) {
		if _, after, ok := strings.Cut(line, "state-"); ok {
			document = s.number(after)
		}
	}
	lines := strings.Split(strings.TrimSpace(show), "\n")
	return document, s.number(lines[len(lines)-1])
}

func (s session) number(text string) int {
	s.T.Helper()
	n, err := strconv.Atoi(strings.Trim(text, "\" \n"))
	if err != nil {
		s.T.Fatalf("%q is no state", text)
	}
	return n
}
