package nvmetfake

import (
	"encoding/hex"
	"fmt"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// make fills a directory that was just asked for; an error refuses it.
func (t *Tree) make(p string) error {
	parts := strings.Split(p, "/")
	switch {
	case len(parts) == 2 && parts[0] == "subsystems":
		return t.subsystem(p, parts[1])
	case len(parts) == 2 && parts[0] == "hosts":
		t.host(p)
		return nil
	case len(parts) == 2 && parts[0] == "ports":
		return t.port(p, parts[1])
	case len(parts) == 4 && parts[2] == "namespaces":
		return t.namespace(p, parts[1], parts[3])
	case len(parts) == 4 && parts[2] == "ana_groups":
		n, err := strconv.ParseUint(parts[3], 0, 32)
		if err != nil || n <= 1 || n > maxANA {
			return unix.EINVAL
		}
		t.ana(p, "inaccessible")
		return nil
	case len(parts) == 4 && parts[2] == "referrals":
		for _, f := range []string{"addr_adrfam", "addr_portid", "addr_treq", "addr_traddr", "addr_trsvcid", "addr_trtype", "enable"} {
			t.k.File(path.Join(p, f), "", 'b', nil)
		}
		return nil
	}
	return unix.EPERM // no objects are made there
}

// maxANA is NVMET_MAX_ANAGRPS.
const maxANA = 128

// subsystem is nvmet_subsys_make.
func (t *Tree) subsystem(p, nqn string) error {
	if nqn == discoveryNQN {
		return unix.EINVAL
	}
	at := func(name string) string { return path.Join(p, name) }
	identity := func(name string, most int, pad bool) func(string) error {
		return func(text string) error {
			text, _, _ = strings.Cut(text, "\n")
			if t.discovered[nqn] || text == "" || len(text) > most || strings.ContainsFunc(text, func(r rune) bool { return r < 0x20 || r > 0x7e }) {
				return unix.EINVAL
			}
			if pad {
				text = fmt.Sprintf("%-*s", most, text)
			}
			t.k.At(at(name)).Text = text
			return nil
		}
	}
	t.k.File(at("attr_allow_any_host"), "0", 'b', func(text string) error {
		on, err := boolean(text)
		if err != nil || on && len(t.k.Children(at("allowed_hosts"))) > 0 {
			return unix.EINVAL
		}
		t.k.At(at("attr_allow_any_host")).Text = map[bool]string{true: "1", false: "0"}[on]
		return nil
	})
	t.k.File(at("attr_serial"), "4f1b0e9d2c3a58671122", 'b', identity("attr_serial", 20, true))
	t.k.File(at("attr_model"), "Linux", 'b', identity("attr_model", 40, false))
	t.k.File(at("attr_version"), "1.3", 'b', nil)
	t.k.File(at("attr_cntlid_min"), "1", 'b', nil)
	t.k.File(at("attr_cntlid_max"), "65519", 'b', nil)
	t.k.File(at("attr_qid_max"), "128", 'b', func(text string) error {
		t.end(func(c *Connection) bool { return c.Subsystem == nqn }) // "Force reconnect"
		t.k.At(at("attr_qid_max")).Text = strings.TrimSpace(text)
		return nil
	})
	t.k.Dir(at("namespaces"))
	t.k.Dir(at("allowed_hosts"))
	t.k.Dir(at("passthru"))
	t.k.File(at("passthru/device_path"), "(null)", 'b', nil)
	t.k.File(at("passthru/enable"), "0", 'b', nil)
	return nil
}

func boolean(text string) (bool, error) {
	switch strings.TrimSpace(text) {
	case "1", "y", "Y", "on":
		return true, nil
	case "0", "n", "N", "off":
		return false, nil
	}
	return false, unix.EINVAL
}

// namespace is nvmet_ns_make, with what its settings take and when.
func (t *Tree) namespace(p, nqn, name string) error {
	n, err := strconv.ParseUint(name, 0, 32)
	if err != nil || n == 0 || n == 0xffffffff {
		return unix.EINVAL
	}
	t.made++
	at := func(name string) string { return path.Join(p, name) }
	enabled := func() bool { return t.k.Text(at("enable")) == "1" }
	while := func(refusal error, take func(text string) (string, error)) func(name string) func(string) error {
		return func(name string) func(string) error {
			return func(text string) error {
				if enabled() {
					return refusal
				}
				value, err := take(strings.TrimSuffix(text, "\n"))
				if err == nil {
					t.k.At(at(name)).Text = value
				}
				return err
			}
		}
	}
	asIs := func(text string) (string, error) {
		if text == "" {
			return "", unix.EINVAL
		}
		return text, nil
	}
	onOff := func(text string) (string, error) {
		on, err := boolean(text)
		return map[bool]string{true: "1", false: "0"}[on], err
	}
	identity := func(text string) (string, error) {
		b, err := hex.DecodeString(strings.NewReplacer("-", "", ":", "").Replace(text))
		if err != nil || len(b) != 16 {
			return "", unix.EINVAL
		}
		return uuid(b), nil
	}
	t.k.File(at("device_path"), "(null)", 'b', while(unix.EBUSY, asIs)("device_path"))
	t.k.File(at("device_uuid"), uuid([]byte{15: byte(t.made)}), 'b', while(unix.EBUSY, identity)("device_uuid"))
	t.k.File(at("device_nguid"), uuid(make([]byte, 16)), 'b', while(unix.EBUSY, identity)("device_nguid"))
	t.k.File(at("buffered_io"), "0", 'b', while(unix.EINVAL, onOff)("buffered_io"))
	t.k.File(at("resv_enable"), "0", 'b', while(unix.EINVAL, onOff)("resv_enable"))
	t.k.File(at("ana_grpid"), "1", 'b', func(text string) error {
		n, err := strconv.ParseUint(strings.TrimSpace(text), 0, 32)
		if err != nil || n < 1 || n > maxANA {
			return unix.EINVAL
		}
		// array_index_nospec(newgrpid, NVMET_MAX_ANAGRPS) makes 0 of 128.
		t.k.At(at("ana_grpid")).Text = strconv.FormatUint(n%maxANA, 10)
		return nil
	})
	t.k.File(at("enable"), "0", 'b', func(text string) error {
		on, err := boolean(text)
		if err != nil {
			return err
		}
		if on && !enabled() {
			fi, err := os.Stat(t.k.Text(at("device_path")))
			if err != nil {
				return unix.ENOENT
			}
			t.sizes[p] = fi.Size()
			t.tell(nqn, "namespace "+name+" came")
		}
		if !on && enabled() {
			t.tell(nqn, "namespace "+name+" went")
		}
		t.k.At(at("enable")).Text = map[bool]string{true: "1", false: "0"}[on]
		return nil
	})
	t.k.File(at("revalidate_size"), "", 'w', func(text string) error {
		if on, err := boolean(text); err != nil || !on || !enabled() {
			return unix.EINVAL
		}
		fi, err := os.Stat(t.k.Text(at("device_path")))
		if err == nil && fi.Size() != t.sizes[p] {
			t.sizes[p] = fi.Size()
			t.tell(nqn, fmt.Sprintf("namespace %s has %d bytes", name, fi.Size()))
		}
		return nil
	})
	return nil
}

// uuid writes 16 bytes as %pUb does.
func uuid(b []byte) string {
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// host is nvmet_hosts_make_group.
func (t *Tree) host(p string) {
	if t.opt.NoAuth {
		return
	}
	at := func(name string) string { return path.Join(p, name) }
	for _, name := range []string{"dhchap_key", "dhchap_ctrl_key"} {
		t.k.File(at(name), "", 'b', func(text string) error { // nvmet_auth_set_key
			var hash int
			if n, err := fmt.Sscanf(text, "DHHC-1:%d:", &hash); n != 1 || err != nil || hash > 3 || strings.Count(text, ":") < 2 {
				return unix.EINVAL
			}
			t.k.At(at(name)).Text = text // a newline would be kept
			return nil
		})
	}
	choice := func(name string, allowed ...string) func(string) error {
		return func(text string) error {
			if !slices.Contains(allowed, text) {
				return unix.EINVAL
			}
			t.k.At(at(name)).Text = text
			return nil
		}
	}
	t.k.File(at("dhchap_hash"), "hmac(sha256)", 'b', choice("dhchap_hash", "hmac(sha256)", "hmac(sha384)", "hmac(sha512)"))
	t.k.File(at("dhchap_dhgroup"), "null", 'b', choice("dhchap_dhgroup", "null", "ffdhe2048", "ffdhe3072", "ffdhe4096", "ffdhe6144", "ffdhe8192"))
}
