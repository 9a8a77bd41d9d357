package nvmet

import (
	"testing"

	"github.com/esos-project/esos/internal/host/kernfs/nvmetfake"
)

// TestCutOff has the kernel fail at each request of a setup, and of changes to
// it, as if the daemon had died there; the next one finishes to the same tree,
// and then asks for nothing more.
func TestCutOff(t *testing.T) {
	setup := func(b *bench) error {
		ctx := b.Context()
		ns1, ns2 := b.namespaceOf(1), b.namespaceOf(2)
		ns2.ANAGroup = 2
		for _, do := range []func() error{
			func() error { return b.PutPort(ctx, front()) },
			func() error { return b.PutPort(ctx, back()) },
			func() error {
				return b.PutSubsystem(ctx, subsystemFor(Host{NQN: alice, Key: key1, CtrlKey: key2, Hash: "sha384", DHGroup: "ffdhe2048"}, plainHost(bob)))
			},
			func() error { return b.PutNamespace(ctx, db, ns1) },
			func() error { return b.PutNamespace(ctx, db, ns2) },
			func() error { return b.Open(ctx, db, []int{1, 2}) },
		} {
			if err := do(); err != nil {
				return err
			}
		}
		return nil
	}
	change := func(b *bench) error {
		ctx := b.Context()
		open := subsystemFor(plainHost(alice))
		p := back()
		p.ANA = p.ANA[:1]
		p.ANA[0].State = "inaccessible"
		moved := b.namespaceOf(1)
		moved.UUID = "99999999-0000-8000-8000-000000000001"
		for _, do := range []func() error{
			func() error { return b.Close(ctx, db, []int{1}) },
			func() error { return b.DeleteNamespace(ctx, db, 2) },
			func() error { return b.DeletePort(ctx, 1) },
			func() error { return b.PutPort(ctx, p) },
			func() error { return b.PutSubsystem(ctx, open) },
			func() error { return b.PutNamespace(ctx, db, moved) },
		} {
			if err := do(); err != nil {
				return err
			}
		}
		return nil
	}
	remove := func(b *bench) error {
		for _, do := range []func() error{
			func() error { return b.DeleteSubsystem(b.Context(), db) },
			func() error { return b.DeletePort(b.Context(), 1) },
			func() error { return b.DeletePort(b.Context(), 2) },
		} {
			if err := do(); err != nil {
				return err
			}
		}
		return nil
	}
	for _, c := range []struct {
		name   string
		before func(b *bench) error
		do     func(b *bench) error
	}{
		{"setup", func(*bench) error { return nil }, setup},
		{"change", setup, change},
		{"remove", setup, remove},
	} {
		t.Run(c.name, func(t *testing.T) {
			// Everybody works on the same paths, so that trees compare.
			dir := t.TempDir()
			begin := func() *bench {
				b := &bench{T: t, kernel: nvmetfake.New(nvmetfake.Options{}), dir: dir}
				b.start(Options{})
				b.ok(b.words.Open())
				for _, kind := range []string{portWords, subsystemWords, hostWords} {
					for _, name := range []string{"1", "2", db, alice, bob} {
						b.ok(b.words.Remove(kind, name))
					}
				}
				b.ok(c.before(b))
				b.kernel.Requests()
				return b
			}
			whole := begin()
			b := whole
			b.ok(c.do(b))
			all, want := len(b.kernel.Requests()), b.kernel.Dump()
			if all < 8 {
				t.Fatalf("only %d requests", all)
			}
			for n := range all {
				b := begin()
				b.kernel.FailAfter(n)
				if err := c.do(b); err == nil {
					t.Fatalf("request %d failed, and nobody said so", n+1)
				}
				b.kernel.FailAfter(-1)
				b.start(Options{})
				b.ok(c.do(b))
				if got := b.kernel.Dump(); got != want {
					t.Fatalf("after a cut at request %d of %d:\n%s\nwant:\n%s", n+1, all, got, want)
				}
				b.kernel.Requests()
				b.ok(c.do(b))
				if r := b.kernel.Requests(); len(r) > 0 {
					t.Fatalf("after a cut at request %d, all is there and yet: %q", n+1, r)
				}
			}
			t.Logf("%d requests, each cut off once", all)
		})
	}
}
