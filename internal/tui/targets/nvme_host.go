package targets

import (
	"context"
	"fmt"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/tui/frame"
	"github.com/esos-project/esos/internal/tui/pick"
)

// nvmeHosts shows who may connect to a subsystem.
func nvmeHosts(d *frame.Desk, nqn string) {
	d.List(&frame.List{Title: "Hosts of " + pick.Short(nqn), Command: pick.Command("nvme", "host", "list", nqn),
		Help:    "Who may connect. A host's NQN is in its /etc/nvme/hostnqn. With a key it must prove who it is (DH-HMAC-CHAP). Keys are never shown.",
		Empty:   "Nobody may connect. Press a to add a host.",
		Columns: []frame.Column{{Title: "host", Wide: true}, {Title: "proves"}, {Title: "hash"}, {Title: "DH group"}},
		Read: func(ctx context.Context) ([]frame.Row, error) {
			doc, err := d.Document(ctx)
			if err != nil {
				return nil, err
			}
			s, err := doc.FindNVMeSubsystem(nqn)
			if err != nil {
				return nil, err
			}
			var rows []frame.Row
			for _, h := range s.Hosts {
				rows = append(rows, frame.Row{ID: h.NQN, Cells: []string{h.NQN, hostProof(h), h.DHCHAPHash, h.DHCHAPDHGroup}})
			}
			return rows, nil
		},
		Keys: []frame.RowKey{
			{Key: 'k', Does: "key", Do: func(r frame.Row) { nvmeHost(d, nqn, r.ID) }},
			{Key: 'a', Does: "add", Always: true, Do: func(frame.Row) { nvmeHost(d, nqn, "") }},
			{Key: 'd', Does: "remove", Do: func(r frame.Row) {
				d.Change(frame.Change{Why: pick.Command("nvme", "host", "delete", nqn, r.ID), Edit: func(doc *config.Document) error { return doc.RemoveNVMeHost(nqn, r.ID) }})
			}},
		}})
}

func hostProof(h config.NVMeHost) string {
	switch {
	case h.DHCHAPKey == "":
		return "nothing"
	case h.DHCHAPCtrlKey != "":
		return "mutual DH-HMAC-CHAP"
	}
	return "DH-HMAC-CHAP"
}

// What becomes of a host's keys.
const (
	keyStays = "stays"
	keyNone  = "none"
	keyNew   = "new"
)

// nvmeHost asks for a host of a subsystem, or for another key of one.
func nvmeHost(d *frame.Desk, nqn, name string) {
	pick.WithServing(d, func(s pick.Serving) {
		sub, err := s.Doc.FindNVMeSubsystem(nqn)
		if err != nil {
			d.Fail("Read subsystem "+nqn, err)
			return
		}
		if sub.AllowAnyHost {
			d.Say("Hosts of "+pick.Short(nqn), "The subsystem lets every host in. Change it first (c in the list of subsystems): Any host off.")
			return
		}
		old := name != ""
		host := config.NVMeHost{NQN: name, DHCHAPHash: "sha256", DHCHAPDHGroup: keyNone}
		what := keyNone
		f := &frame.Form{Title: "Add NVMe Host", Command: "esos nvme host create SUBSYSTEM HOST", Submit: "Add"}
		if old {
			what = keyStays
			f.Title, f.Command, f.Submit = "Key of "+name, "esos nvme host set HOST --key-file FILE", "Change"
			f.Intro = "A host has one key in the whole array: this goes for all its subsystems."
			if have, err := s.Doc.FindNVMeHost(nqn, name); err == nil {
				if have.DHCHAPHash != "" {
					host.DHCHAPHash = have.DHCHAPHash
				}
				if have.DHCHAPDHGroup != "" {
					host.DHCHAPDHGroup = have.DHCHAPDHGroup
				}
			}
		}
		var key, ctrl string
		fresh := func() bool { return what == keyNew }
		keys := []frame.Option{{Value: keyNone, Cells: []string{"none: no proof is asked for"}}, {Value: keyNew, Cells: []string{"a key, typed below"}}}
		if old {
			keys = append(keys, frame.Option{Value: keyStays, Cells: []string{"as it is"}})
		} else {
			f.Intro = "A host that another subsystem names with a key keeps that key."
		}
		f.Fields = []frame.Field{
			{Label: "Host NQN", Text: &host.NQN, Show: func() bool { return !old }, Hint: "Of its /etc/nvme/hostnqn.", Check: func(t string) error {
				if _, err := s.Doc.FindNVMeHost(nqn, t); err == nil {
					return fmt.Errorf("it may connect already")
				}
				return config.CheckNQN(t)
			}},
			{Label: "Key", One: &what, Options: keys, Hint: "With a key the host must prove who it is (DH-HMAC-CHAP)."},
			{Label: "Host's key", Text: &key, Secret: true, Show: fresh, Check: checkKey, Hint: "DHHC-1:..., made by 'nvme gen-dhchap-key' on the host. It is not shown, here or anywhere."},
			{Label: "Array's key", Text: &ctrl, Secret: true, Show: fresh, Check: frame.Optional(checkKey), Hint: "What the array proves when the host asks (mutual); empty if not."},
			{Label: "Hash", One: &host.DHCHAPHash, Options: frame.Options("sha256", "sha384", "sha512"), Show: fresh, Hint: "Hash of the authentication."},
			{Label: "DH group", One: &host.DHCHAPDHGroup, Options: frame.Options(keyNone, "ffdhe2048", "ffdhe3072", "ffdhe4096", "ffdhe6144", "ffdhe8192"), Show: fresh,
				Hint: "Diffie-Hellman group of the authentication."},
		}
		f.Do = func() {
			want := config.NVMeHost{NQN: host.NQN}
			if what == keyNew {
				want.DHCHAPKey, want.DHCHAPCtrlKey = config.Secret(key), config.Secret(ctrl)
				if host.DHCHAPHash != "sha256" {
					want.DHCHAPHash = host.DHCHAPHash
				}
				if host.DHCHAPDHGroup != keyNone {
					want.DHCHAPDHGroup = host.DHCHAPDHGroup
				}
			}
			args := []string{"nvme", "host", "create", nqn, want.NQN}
			if old {
				args = []string{"nvme", "host", "set", name}
			}
			switch {
			case what == keyNew:
				args = append(args, "--key-file", "-")
			case old && what == keyNone:
				args = append(args, "--no-key")
			case old:
				d.Close(f)
				return
			}
			d.Change(frame.Change{Why: pick.Command(args...), From: f, Edit: func(doc *config.Document) error {
				if !old {
					if err := doc.AddNVMeHost(nqn, want); err != nil {
						return err
					}
				}
				if old || what == keyNew {
					setKeys(doc, want)
				}
				return nil
			}})
		}
		d.Form(f)
	})
}

// setKeys gives a host its keys at all its subsystems.
func setKeys(doc *config.Document, want config.NVMeHost) {
	for i := range doc.NVMe.Subsystems {
		for j := range doc.NVMe.Subsystems[i].Hosts {
			if h := &doc.NVMe.Subsystems[i].Hosts[j]; h.NQN == want.NQN {
				*h = want
			}
		}
	}
}

func checkKey(s string) error {
	if err := config.CheckDHCHAPKey(config.Secret(s)); err != nil {
		return fmt.Errorf("this %w", err)
	}
	return nil
}
