package lio

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/esos-project/esos/internal/config"
)

// fabric is a transport as LIO has it: where its targets are in the tree, and
// what of a target it knows. What differs between transports is said here, and
// asked for where it matters.
type fabric struct {
	driver   config.Driver
	dir      string    // below the root of the tree
	module   string    // that serves it
	autoload bool      // the kernel loads the module when dir is made (target_core_register_fabric)
	member   string    // its name in the members of a target port group
	named    bool      // there is an ACL for an initiator
	strange  strangers // what of initiators without one
	protects bool      // a portal group can have new LUNs read-only from the start
	gate     string    // file of a portal group that lets initiators in; "" if it lets them in from the start
}

// strangers is what becomes of initiators that have no ACL.
type strangers int

const (
	refused  strangers = iota
	onDemand           // let in, with a dynamic ACL, if the portal group says so
	allowed            // always let in: they are this machine
)

// gates of portal groups.
const (
	enableGate = "enable"
	nexusGate  = "nexus" // whose name is written there is logged in
)

// fabrics are the transports that LIO serves in our words.
func fabrics() []fabric {
	return []fabric{
		{driver: config.DriverISCSI, dir: "iscsi", module: "iscsi_target_mod", autoload: true, member: "iSCSI", named: true, strange: onDemand, protects: true, gate: enableGate},
		{driver: config.DriverSRP, dir: "srpt", module: "ib_srpt", member: "srpt", named: true, strange: refused, gate: enableGate},
		{driver: config.DriverFC, dir: "qla2xxx", module: "tcm_qla2xxx", member: "qla2xxx", named: true, strange: onDemand, protects: true, gate: enableGate},
		{driver: config.DriverFCoE, dir: "fc", module: "tcm_fc", member: "fc", named: true, strange: refused},
		{driver: config.DriverLocal, dir: "loopback", module: "tcm_loop", autoload: true, member: "loopback", strange: allowed, gate: nexusGate},
	}
}

// fabricOf returns a driver's fabric.
func fabricOf(d config.Driver) fabric {
	for _, f := range fabrics() {
		if f.driver == d {
			return f
		}
	}
	return fabrics()[0]
}

// portals says whether targets are reached at addresses, by any number of
// portal groups. Others are a port, and have one portal group.
func (f fabric) portals() bool { return f.driver.Portals() }

// elsewhere names the engines that have the fabric, too.
func (f fabric) elsewhere() string {
	if f.portals() {
		return "native or scst"
	}
	return "scst"
}

// kernelName is the name of a target in the tree: SRP's are GIDs in hexadecimal
// (gid_name of ib_srpt.c), the others as in documents.
func (f fabric) kernelName(name string) string {
	if f.driver == config.DriverSRP {
		return f.driver.InitiatorName(name)
	}
	return name
}

// ourName is the name that a target in the tree has in documents; false if it
// is no target but something else that the fabric's directory has.
func (f fabric) ourName(name string) (string, bool) {
	for _, prefix := range map[config.Driver][]string{
		config.DriverISCSI: {"iqn.", "eui.", "naa."},
		config.DriverLocal: {"iqn.", "naa.", "fc."},
	}[f.driver] {
		if strings.HasPrefix(name, prefix) {
			return name, true
		}
	}
	wwn := !f.portals() && f.named && (strings.HasPrefix(name, "0x") || strings.Contains(name, ":"))
	return f.driver.TargetName(name), wwn
}

// place is where a target is in the tree.
type place struct {
	fabric
	name string // ours
}

func (p place) path() string       { return path.Join(p.dir, p.kernelName(p.name)) }
func (p place) tpg(tag int) string { return path.Join(p.path(), "tpgt_"+strconv.Itoa(tag)) }

// placeAt is the target that a path is a part of.
func placeAt(p string) place {
	parts := strings.Split(p, "/")
	for _, f := range fabrics() {
		if f.dir == parts[0] && len(parts) > 1 {
			name, _ := f.ourName(parts[1])
			return place{f, name}
		}
	}
	return place{}
}

// memberPath is where a LUN is that a target port group names as its member
// (FABRIC/WWN/tpgt_N/lun_M); false if it is none of ours.
func memberPath(text string) (string, bool) {
	parts := strings.Split(text, "/")
	if len(parts) != 4 {
		return "", false
	}
	for _, f := range fabrics() {
		if f.member == parts[0] {
			wwn := parts[1]
			if f.driver == config.DriverFC { // tcm_qla2xxx_get_fabric_wwn
				wwn = f.driver.TargetName(strings.TrimPrefix(wwn, "naa."))
			}
			return path.Join(f.dir, wwn, parts[2], "lun", parts[3]), true
		}
	}
	return "", false
}

// locate finds a target by its name: where its words say, else where the
// kernel has one of that name.
func (e *Engine) locate(name string) (place, bool, error) {
	var w targetWords
	known, err := e.words.Get("targets", name, &w)
	if err != nil {
		return place{}, false, err
	}
	var at []place
	if known && w.Target.Name == name {
		at = append(at, w.place())
	}
	for _, f := range fabrics() {
		at = append(at, place{f, name})
	}
	for _, p := range at {
		if there, err := e.k.exists(p.path()); err != nil || there {
			return p, there, err
		}
	}
	return at[0], false, nil
}

// eachTarget calls do with every target of the kernel.
func (e *Engine) eachTarget(do func(p place) error) error {
	targets, err := e.targets()
	if err != nil {
		return err
	}
	for _, p := range targets {
		if err := do(p); err != nil {
			return fmt.Errorf("target %s: %w", p.name, err)
		}
	}
	return nil
}

func (e *Engine) targets() ([]place, error) {
	var all []place
	for _, f := range fabrics() {
		names, err := e.k.list(f.dir)
		if err != nil {
			return nil, fmt.Errorf("list LIO's targets of driver %s: %w", f.driver, err)
		}
		for _, name := range names {
			if ours, ok := f.ourName(name); ok {
				all = append(all, place{f, ours})
			}
		}
	}
	return all, nil
}

// tags are those of the portal groups that a target has.
func (e *Engine) tags(p place) ([]int, error) {
	names, err := e.k.list(p.path())
	if err != nil {
		return nil, err
	}
	var tags []int
	for _, name := range names {
		if tag, ok := numbered(name, "tpgt_"); ok {
			tags = append(tags, tag)
		}
	}
	slices.Sort(tags)
	return tags, nil
}

// load makes a fabric's directory, with the module that serves it.
func (e *Engine) load(ctx context.Context, f fabric) error {
	there, err := e.k.exists(f.dir)
	if err != nil || there {
		return err
	}
	if !f.autoload && e.opt.Load != nil {
		if err := e.opt.Load(ctx, f.module); err != nil {
			return fmt.Errorf("have the kernel load its %s target: %w (is the module in the image, and has the machine the hardware for it?)", f.driver.Human(), err)
		}
	}
	if err := e.k.mkdir(f.dir); err != nil {
		return fmt.Errorf("have the kernel load its %s target: %w (is the module %s there?)", f.driver.Human(), err, f.module)
	}
	return nil
}

// srpPort is where SRP's logins over Ethernet come in, by the RDMA connection
// manager: InfiniBand's own reaches no Ethernet. No port is assigned to it; this
// is the one that Linux's tests of ib_srp use.
const (
	srpPortFile = "srpt/discovery_auth/rdma_cm_port"
	srpPort     = "5555"
)

// hearEthernet has SRP targets be reached over Ethernet, if that is there.
// Somebody who chose another port keeps it.
func (e *Engine) hearEthernet(f fabric) error {
	if f.driver != config.DriverSRP || e.opt.RoCE == nil {
		return nil
	}
	ethernet, err := e.opt.RoCE()
	if err != nil || !ethernet {
		return err
	}
	now, err := e.k.read(srpPortFile)
	if errors.Is(err, fs.ErrNotExist) || err == nil && now != "0" {
		return nil
	}
	if err == nil {
		err = e.k.WriteFile(srpPortFile, srpPort)
	}
	if err != nil {
		return fmt.Errorf("have SRP targets reached over Ethernet at port %s: %w", srpPort, err)
	}
	return nil
}

// make makes a target, for which its port must be there.
func (e *Engine) make(ctx context.Context, p place) error {
	if err := e.load(ctx, p.fabric); err != nil {
		return err
	}
	err := e.k.mkdir(p.path())
	if err == nil || p.portals() || !p.named {
		return err
	}
	if !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENODEV) && !errors.Is(err, unix.ENOENT) && !errors.Is(err, unix.ENOMEM) {
		return err
	}
	here := "none"
	if e.opt.Ports != nil {
		ports, look := e.opt.Ports(p.driver)
		if look != nil {
			return errors.Join(err, look)
		}
		if len(ports) > 0 {
			here = strings.Join(ports, ", ")
		}
	}
	hint := ""
	if p.driver == config.DriverFC {
		hint = "; a port must be in target mode, which the parameter qlini_mode of the module qla2xxx says"
	}
	return fmt.Errorf("%w: the kernel has no such port to serve %s at; ports of this machine: %s%s", err, p.driver.Human(), here, hint)
}
