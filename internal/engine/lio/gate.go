package lio

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// gateOpen says whether a portal group lets initiators in.
func (e *Engine) gateOpen(tpg string) (bool, error) {
	switch placeAt(tpg).gate {
	case enableGate:
		now, err := e.k.read(path.Join(tpg, enableGate))
		return now == "1", err
	case nexusGate:
		now, err := e.nexus(tpg)
		return now != "", err
	}
	return true, nil
}

// setGate lets initiators in, or ends their sessions and lets in none.
func (e *Engine) setGate(w *targetWords, tpg string, open bool) error {
	switch p := placeAt(tpg); p.gate {
	case enableGate:
		err := e.k.set(path.Join(tpg, enableGate), digit(open))
		if errors.Is(err, unix.ENODEV) {
			return fmt.Errorf("%w: the port %s does not work as a target now (is its link up, and its driver in target mode?)", err, p.name)
		}
		return err
	case nexusGate:
		return e.setNexus(w, tpg, open)
	}
	return nil
}

// nexus is the initiator that is this machine itself, logged in to one of its
// own targets; "" if it is not (tcm_loop_tpg_nexus_show).
func (e *Engine) nexus(tpg string) (string, error) {
	name, err := e.k.read(path.Join(tpg, nexusGate))
	if errors.Is(err, unix.ENODEV) {
		return "", nil
	}
	return strings.TrimSpace(name), err
}

// nexusName is what this machine calls itself as the initiator of a target: a
// name of the target's own kind (tcm_loop_tpg_nexus_store), always the same,
// since reservations name it.
func nexusName(target string) string {
	if strings.HasPrefix(target, "iqn.") {
		return target + ":local"
	}
	sum := sha256.Sum256([]byte("initiator of " + target))
	return "naa.5001405" + hex.EncodeToString(sum[:])[:9]
}

// setNexus logs this machine in to its own target, or out. The kernel looks at
// a LUN when it is linked, and does not forget one that it could not look at:
// so there are LUNs only while it is logged in, and words of them meanwhile.
func (e *Engine) setNexus(w *targetWords, tpg string, in bool) error {
	now, err := e.nexus(tpg)
	if err != nil || (now != "") == in {
		return err
	}
	if in {
		if err := e.k.WriteFile(path.Join(tpg, nexusGate), nexusName(w.Target.Name)); err != nil {
			return err
		}
		return e.showAll(w, tpg, w.Target.LUNs)
	}
	_, luns, err := e.shown(tpg)
	if err != nil {
		return err
	}
	w.Target.LUNs = inOrder(w.Target.LUNs, luns)
	if err := e.words.putTarget(*w); err != nil {
		return err
	}
	for _, l := range luns {
		if err := e.k.unlink(path.Join(tpg, "lun", "lun_"+strconv.Itoa(l.LUN))); err != nil {
			return err
		}
	}
	return e.k.WriteFile(path.Join(tpg, nexusGate), "NULL")
}

// setIfThere sets a setting that not every fabric or kernel has.
func (k tree) setIfThere(p, value string) error {
	if err := k.set(p, value); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
