// Package remote is the layer of disks of other arrays: it logs in to iSCSI
// targets and NVMe subsystems, so that their disks are there for the layers
// above, and logs out of those that are declared no more.
package remote

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"time"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/host/block"
	"github.com/esos-project/esos/internal/host/nvmehost"
	"github.com/esos-project/esos/internal/host/openiscsi"
	"github.com/esos-project/esos/internal/layer"
	"github.com/esos-project/esos/internal/plan"
)

// Machine is the part of the host that this layer works with (host.Linux).
type Machine interface {
	block.Machine
	block.Prober
	openiscsi.Machine
	// Reach says why nothing can be reached at a TCP address.
	Reach(ctx context.Context, address string) error
}

// Layer logs in and out.
type Layer struct {
	Machine Machine
	// Patience is how long the disks of a login may take to be there; 8 s if 0.
	Patience time.Duration
}

// Times that a boot can be held up by arrays that are not there: those that
// are follow one after the other, in moments.
const (
	reachTime = 3 * time.Second  // until somebody answers
	loginTime = 25 * time.Second // until a login is given up
	lostTime  = 12 * time.Second // that logins of one plan may spend in vain; those after it are left for the next look
)

// Name is remote.
func (Layer) Name() string { return "remote" }

// Declares says whether a document has anything for this layer.
func Declares(d *config.Document) bool {
	return len(d.Storage.Remote.ISCSI)+len(d.Storage.Remote.NVMe) > 0
}

// Observe reads what the machine is logged in to. The files of the kernel that
// tell are read without waiting for anybody.
func (l Layer) Observe(ctx context.Context, declared *config.Document, seen *layer.Observed) error {
	r := &seen.Storage.Remote
	var iscsi, nvme error
	r.ISCSI, iscsi = openiscsi.Sessions(l.Machine)
	r.NVMe, nvme = nvmehost.Controllers(l.Machine)
	r.Err = errors.Join(iscsi, nvme)
	r.Records = map[string]string{}
	read := func(file string) {
		text, err := l.Machine.ReadFile(file)
		if err == nil {
			r.Records[file] = string(text)
		} else if !errors.Is(err, fs.ErrNotExist) && r.Err == nil {
			r.Err = err
		}
	}
	for _, t := range declared.Storage.Remote.ISCSI {
		read(node(t).Path())
	}
	for _, s := range r.ISCSI {
		read(openiscsi.RecordOf(s))
	}
	r.Initiator, _ = openiscsi.InitiatorName(l.Machine) // a login says why there is none
	r.Host, _ = nvmehost.HostName(l.Machine)
	return ctx.Err()
}

// Plan logs in to what is declared, and out of what is declared no more.
func (l Layer) Plan(declared *config.Document, seen *layer.Observed, b *plan.Builder) {
	p := &planning{Layer: l, declared: declared, seen: seen, b: b, lost: lostTime}
	var in []way
	for _, t := range declared.Storage.Remote.ISCSI {
		in = append(in, p.iscsi(t))
	}
	for _, n := range declared.Storage.Remote.NVMe {
		in = append(in, p.nvme(n))
	}
	if err := seen.Storage.Remote.Err; err != nil {
		for _, w := range in {
			seen.Refuse(b, w.object, w.declared, "what this machine is logged in to could not be looked at: %v", err)
		}
		return
	}
	var coming []way
	for _, w := range in {
		if !w.there {
			p.login(w)
			coming = append(coming, w)
			continue
		}
		p.tell(w)
	}
	p.takeUp(coming)
	p.logouts()
}

// planning is the work on one plan.
type planning struct {
	Layer
	declared *config.Document
	seen     *layer.Observed
	b        *plan.Builder
	lost     time.Duration // that logins may still spend in vain
}

// way is a path to disks elsewhere: a portal of an iSCSI target, an address of
// an NVMe subsystem.
type way struct {
	object   string // in plans
	declared any
	text     string // for people
	tcp      string // where to find it, "" where that is no TCP address
	there    bool   // the machine is logged in
	works    bool   // and the connection stands
	disks    []string
	// brings says whether a path would be one of its disks.
	brings func(path string) bool
	in     func(ctx context.Context) error
	// look finds its disks as they are now.
	look func() (there bool, disks []string, err error)
	// again has the kernel look for disks once more.
	again func(ctx context.Context) error
	out   func(ctx context.Context) error
	// forget puts the traces of a login back to what they were.
	forget func() error
}

func (l Layer) patience() time.Duration { return cmp.Or(l.Patience, 8*time.Second) }

// tell notes what is wrong with a login that is there.
func (p *planning) tell(w way) {
	switch {
	case !w.works:
		p.b.Degraded(w.object, "the connection to %s is lost; it is tried again and again, and what stands on its disks waits meanwhile, or goes on without them", w.text)
	case len(w.disks) == 0:
		who := p.seen.Storage.Remote.Initiator
		if _, ok := w.declared.(config.RemoteNVMe); ok {
			who = p.seen.Storage.Remote.Host
		}
		p.b.Degraded(w.object, "%s shows this machine no disk; map one there to %s", w.text, who)
	}
}

// used are the paths of block devices that the document in force uses.
func (p *planning) used() []string {
	if p.seen.InForce == nil {
		return nil
	}
	var paths []string
	for _, u := range layer.Uses(p.seen.InForce) {
		paths = append(paths, u.Path)
	}
	return paths
}

// isThere says whether a path leads to a block device now.
func (p *planning) isThere(path string) bool {
	if p.seen.Storage.Blocks == nil {
		return false
	}
	_, ok := p.seen.BlockDevice(path)
	return ok
}
