package nvmet

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// namespace reads a namespace as the kernel has it.
func (t *Target) namespace(nqn string, nsid int) (Namespace, error) {
	at := namespaceAt(nqn, nsid)
	ns := Namespace{NSID: nsid}
	var err error
	read := func(name string) string {
		if err != nil {
			return ""
		}
		var text string
		text, err = t.k.read(path.Join(at, name))
		return text
	}
	if ns.Path = read("device_path"); ns.Path == "(null)" {
		ns.Path = ""
	}
	ns.UUID = strings.ToLower(read("device_uuid"))
	ns.NGUID = strings.ToLower(strings.ReplaceAll(read("device_nguid"), "-", ""))
	ns.Enabled = read("enable") == "1"
	if err != nil {
		return ns, err
	}
	// Those that came later than the target itself.
	buffered, _, err := t.k.optional(path.Join(at, "buffered_io"))
	if err != nil {
		return ns, err
	}
	reservations, _, err := t.k.optional(path.Join(at, "resv_enable"))
	if err != nil {
		return ns, err
	}
	ns.Buffered, ns.Reservations, ns.ANAGroup = buffered == "1", reservations == "1", 1
	if group, has, err := t.k.optional(path.Join(at, "ana_grpid")); err != nil {
		return ns, err
	} else if has {
		if ns.ANAGroup, err = strconv.Atoi(group); err != nil {
			return ns, fmt.Errorf("read ana_grpid of namespace %d of %s: %q is no number", nsid, nqn, group)
		}
	}
	return ns, nil
}

// PutNamespace makes a namespace, or sets what of it differs. What hosts know
// it by, and where its bytes are, changes while it is away for a moment; a
// larger size and the ANA group at any time, of which hosts are told.
func (t *Target) PutNamespace(ctx context.Context, nqn string, ns Namespace) error {
	return t.change(ctx, fmt.Sprintf("put namespace %d of NVMe subsystem %s", ns.NSID, nqn), func() error { return t.putNamespace(nqn, ns) })
}

func (t *Target) putNamespace(nqn string, ns Namespace) error {
	fi, err := t.opt.Stat(ns.Path)
	if err != nil {
		return err
	}
	at := namespaceAt(nqn, ns.NSID)
	if err := t.k.mkdir(at); err != nil {
		return err
	}
	have, err := t.namespace(nqn, ns.NSID)
	if err != nil {
		return err
	}
	if have.Enabled && Rigid(have, ns) {
		if err := t.k.set(path.Join(at, "enable"), "0"); err != nil {
			return err
		}
		have.Enabled = false
	}
	if !have.Enabled {
		if err := t.setUp(at, have, ns); err != nil {
			return err
		}
	}
	if have.ANAGroup != ns.ANAGroup {
		if err := t.k.set(path.Join(at, "ana_grpid"), number(ns.ANAGroup)); err != nil {
			return err
		}
	}
	switch {
	case ns.Enabled && !have.Enabled:
		if fi.Block {
			if err := t.opt.Free(ns.Path); err != nil {
				return err
			}
		}
		if err := t.k.WriteFile(path.Join(at, "enable"), "1"); err != nil {
			return whyNotEnabled(ns, err)
		}
	case ns.Enabled:
		told, _, err := t.words.get(subsystemWords, nqn)
		if err != nil {
			return err
		}
		if told.Sizes[ns.NSID] != fi.Size {
			if err := t.tellSize(at); err != nil {
				return err
			}
		}
	}
	return t.words.setSize(nqn, ns.NSID, fi.Size)
}

// Rigid says whether a namespace must be away for a moment to become another.
func Rigid(have, want Namespace) bool {
	return have.Path != want.Path || have.UUID != want.UUID || have.NGUID != want.NGUID ||
		have.Buffered != want.Buffered || have.Reservations != want.Reservations || have.Enabled && !want.Enabled
}

// setUp sets what can be set while a namespace is disabled only.
func (t *Target) setUp(at string, have, ns Namespace) error {
	if err := t.k.set(path.Join(at, "device_path"), ns.Path); err != nil {
		return err
	}
	if err := t.k.set(path.Join(at, "device_uuid"), ns.UUID); err != nil {
		return err
	}
	if have.NGUID != ns.NGUID {
		if err := t.k.set(path.Join(at, "device_nguid"), ns.NGUID); err != nil {
			return err
		}
	}
	if have.Buffered != ns.Buffered {
		if err := t.k.set(path.Join(at, "buffered_io"), flag(ns.Buffered)); err != nil {
			return err
		}
	}
	if have.Reservations != ns.Reservations {
		return t.k.set(path.Join(at, "resv_enable"), flag(ns.Reservations))
	}
	return nil
}

// whyNotEnabled says what a refusal of nvmet_ns_enable means.
func whyNotEnabled(ns Namespace, err error) error {
	switch {
	case errors.Is(err, unix.EACCES), errors.Is(err, unix.EROFS):
		return fmt.Errorf("enable: the kernel may not write %s (is it read-only?): %w", ns.Path, err)
	case errors.Is(err, unix.EINVAL) && !ns.Buffered:
		return fmt.Errorf("enable: the kernel cannot serve %s past the page cache; leave o_direct out: %w", ns.Path, err)
	}
	return fmt.Errorf("enable %s: %w", ns.Path, err)
}

// tellSize has the kernel look at the size anew, and tell hosts if it is
// another one (namespace attribute changed, NVMe Base 5.2.1). Kernels before
// 5.8 have no such request: hosts ask for themselves some time.
func (t *Target) tellSize(at string) error {
	err := t.k.WriteFile(path.Join(at, "revalidate_size"), "1")
	if err := unlessGone(err); err != nil {
		return fmt.Errorf("tell hosts the size: %w", err)
	}
	return nil
}

// DeleteNamespace takes a namespace away from all hosts.
func (t *Target) DeleteNamespace(ctx context.Context, nqn string, nsid int) error {
	return t.change(ctx, fmt.Sprintf("delete namespace %d of NVMe subsystem %s", nsid, nqn), func() error {
		if err := t.dropNamespace(namespaceAt(nqn, nsid)); err != nil {
			return err
		}
		if there, err := t.k.exists(subsystemAt(nqn)); err != nil || !there {
			return err
		}
		return t.words.setSize(nqn, nsid, 0)
	})
}

func (t *Target) dropNamespace(at string) error {
	on, err := t.k.read(path.Join(at, "enable"))
	if err != nil {
		return unlessGone(err)
	}
	if on == "1" {
		if err := t.k.WriteFile(path.Join(at, "enable"), "0"); err != nil {
			return err
		}
	}
	return t.k.rmdir(at)
}
