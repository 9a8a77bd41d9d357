package remote

import (
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/host/storagefake"
	"github.com/esos-project/esos/internal/layer/remote/remotetest"
	"github.com/esos-project/esos/internal/plan"
)

// TestFaults has each change of the machine fail, before and after it was
// made: then all is back as it was, or the error names what is not; and the
// same change can be made anew.
func TestFaults(t *testing.T) {
	for _, c := range []struct {
		name          string
		before, after []func(*config.Document)
	}{
		{"first", nil, []func(*config.Document){remotetest.ISCSI("a", remotetest.PortalA), remotetest.CHAP("u", "example-secret"), remotetest.NVMe("n", remotetest.AddrA), remotetest.Array("r", remotetest.PathA)}},
		{"another portal", []func(*config.Document){remotetest.ISCSI("a", remotetest.PortalA)}, []func(*config.Document){remotetest.ISCSI("a", remotetest.PortalB)}},
		{"another secret", []func(*config.Document){remotetest.ISCSI("a", remotetest.PortalA), remotetest.CHAP("u", "example-secret")}, []func(*config.Document){remotetest.ISCSI("a", remotetest.PortalA), remotetest.CHAP("u", "example-secret2")}},
		{"delete", []func(*config.Document){remotetest.ISCSI("a", remotetest.PortalA), remotetest.NVMe("n", remotetest.AddrA)}, nil},
	} {
		for _, after := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, done %v", c.name, after), func(t *testing.T) {
				injected := 0
				for n := 1; ; n++ {
					if !fault(t, c.before, c.after, n, after) {
						break
					}
					injected++
				}
				if injected == 0 {
					t.Error("nothing failed")
				}
			})
		}
	}
}

// fault has the nth change fail; it says whether there was one.
func fault(t *testing.T, before, after []func(*config.Document), n int, done bool) bool {
	m := remotetest.Machine()
	inForce, declared := remotetest.Document(before...), remotetest.Document(after...)
	carryOut(t, m, nil, inForce)
	was := picture(m)
	p := planned(t, m, inForce, declared)
	m.FailAt(n, done)
	_, err := (plan.Runner{}).Run(t.Context(), p)
	if !m.Injected() {
		if err != nil {
			t.Fatalf("change %d: nothing was injected, and it failed: %v", n, err)
		}
		return false
	}
	m.FailAt(0, false)
	var failed *plan.Error
	switch {
	case err == nil: // what failed did not matter, or had been done
		inForce = declared
	case !errors.As(err, &failed):
		t.Fatalf("change %d: %v", n, err)
	default:
		if d := cmp.Diff(was, picture(m)); d != "" && len(failed.NotBack) == 0 {
			t.Errorf("change %d, %v: it is not as it was (-before +after):\n%s", n, err, d)
		}
	}
	carryOut(t, m, inForce, declared)
	if again := planned(t, m, declared, declared); !again.Empty() {
		t.Errorf("change %d: there is still to do:\n%s", n, again.Text(nil))
	}
	if lost := m.Lost(); len(lost) > 0 {
		t.Errorf("change %d: lost %q", n, lost)
	}
	return true
}

func carryOut(t *testing.T, m *storagefake.Machine, inForce, declared *config.Document) {
	t.Helper()
	p := planned(t, m, inForce, declared)
	if len(p.Problems) > 0 || len(p.Needs(nil)) > 0 {
		t.Fatalf("refused: %v %q", p.Problems, p.Needs(nil))
	}
	if _, err := (plan.Runner{}).Run(t.Context(), p); err != nil {
		t.Fatal(err)
	}
}
