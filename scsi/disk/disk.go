package disk

import (
	"errors"
	"fmt"
	"math/bits"
	"sync"
	"sync/atomic"

	"github.com/esos-project/esos/backing"
	"github.com/esos-project/esos/scsi"
)

// Disk is a scsi.Device over a Store.
type Disk struct {
	store   backing.Store
	prompt  backing.Prompt // nil if the store always waits
	async   backing.Async  // nil if nobody else can carry its I/O out
	opt     Options
	shift   uint // log2 of the block size
	blocks  atomic.Uint64
	gate    gate
	journal *journal // nil: no WRITE ATOMIC

	// through is set while each write must be stable before it ends: WCE = 0.
	through atomic.Bool
	// state is zero while the medium can be used. Each command looks at it once.
	state atomic.Uint32

	mu        sync.Mutex
	prevented map[*scsi.Path]struct{} // nexuses that hold the medium in
	sanitize  sanitizing
	copies    copies
	closing   chan struct{}
	working   sync.WaitGroup
}

// Bits of Disk.state, in the order in which they are told.
const (
	sanitizeRuns   uint32 = 1 << iota // SANITIZE in progress
	sanitizeFailed                    // it failed: only EXIT FAILURE MODE or another SANITIZE helps
	ejected                           // a removable medium is out
)

// Options say what a disk is. The zero value is a write-back, fully
// provisioned, solid state disk of 512 byte blocks.
type Options struct {
	// BlockSize is the logical block length in bytes: 512 (default) or 4096.
	BlockSize int
	// PhysicalBlockSize is told to initiators so that they align; BlockSize by
	// default, else a larger power of two.
	PhysicalBlockSize int
	// ReadOnly refuses all that would change the medium.
	ReadOnly bool
	// Removable sets the RMB bit and serves eject and load.
	Removable bool
	// Rotational tells a rotation rate instead of "solid state".
	Rotational bool
	// Thin gives UNMAP and its kin, and tells which blocks are mapped.
	Thin bool
	// WriteThrough ends no write before it is stable, and tells WCE = 0.
	WriteThrough bool
	// Volatile says that nothing of the store outlives a crash (memory,
	// null): WRITE ATOMIC then needs no Journal.
	Volatile bool
	// Journal holds one atomic write while it is carried out, apart from the
	// store, so that a power cut leaves either none or all of it. At least
	// JournalSize bytes. Without it (and not Volatile) there is no WRITE ATOMIC.
	Journal backing.Store
	// Failed hears of each error of the store: what was being done ("read",
	// "write", "sync", "unmap", ...), where in bytes, and the error. It must
	// not wait.
	Failed func(op string, off int64, err error)
}

// Limits of one command. They are told in VPD page B0h.
const (
	maxTransfer   = 16 << 20 // bytes of a READ, WRITE, VERIFY, ORWRITE, PRE-FETCH
	maxWriteSame  = 16 << 20 // bytes of a WRITE SAME
	maxUnmap      = 1 << 20  // blocks of an UNMAP
	maxUnmapDescs = 256      // descriptors of an UNMAP
	maxCompare    = 255      // blocks of a COMPARE AND WRITE: its field has no more room
	granule       = 4 << 10  // bytes that a hole in a file starts at and lasts for
)

// New makes a disk of a store. It takes an unfinished atomic write in the
// journal up again first.
func New(store backing.Store, opt Options) (*Disk, error) {
	if opt.BlockSize == 0 {
		opt.BlockSize = 512
	}
	if opt.BlockSize != 512 && opt.BlockSize != 4096 {
		return nil, fmt.Errorf("disk: block size %d: only 512 and 4096 are served", opt.BlockSize)
	}
	if opt.PhysicalBlockSize == 0 {
		opt.PhysicalBlockSize = opt.BlockSize
	}
	p := opt.PhysicalBlockSize
	if p < opt.BlockSize || p&(p-1) != 0 || p > opt.BlockSize<<15 {
		return nil, fmt.Errorf("disk: physical block size %d: must be a power of two of at least the block size, %d", p, opt.BlockSize)
	}
	d := &Disk{
		store:     store,
		opt:       opt,
		shift:     uint(bits.TrailingZeros(uint(opt.BlockSize))),
		prevented: map[*scsi.Path]struct{}{},
		closing:   make(chan struct{}),
	}
	d.prompt, _ = store.(backing.Prompt)
	d.async, _ = store.(backing.Async)
	d.gate.init()
	d.through.Store(opt.WriteThrough)
	d.copies.held = map[copyKey]*copyState{}
	if err := d.setSize(store.Size()); err != nil {
		return nil, err
	}
	if opt.Journal != nil {
		j, err := openJournal(opt.Journal, store, opt.ReadOnly)
		if err != nil {
			return nil, fmt.Errorf("disk: journal of atomic writes: %w", err)
		}
		d.journal = j
	}
	return d, nil
}

func (d *Disk) setSize(n int64) error {
	blocks := uint64(max(n, 0)) >> d.shift
	if blocks == 0 {
		return fmt.Errorf("disk: size of %d bytes holds no block of %d bytes", n, d.opt.BlockSize)
	}
	d.blocks.Store(blocks)
	return nil
}

// Blocks is the capacity in logical blocks.
func (d *Disk) Blocks() uint64 { return d.blocks.Load() }

// BlockSize is the logical block length in bytes.
func (d *Disk) BlockSize() int { return d.opt.BlockSize }

// Refresh takes over the size that the store has now and says whether it
// changed. The caller tells the initiators (scsi.Unit.CapacityChanged).
func (d *Disk) Refresh() (changed bool, err error) {
	before := d.Blocks()
	size := d.store.Size()
	if g, ok := d.store.(backing.Grower); ok {
		if size, err = g.Refresh(); err != nil {
			return false, fmt.Errorf("disk: look at the size again: %w", err)
		}
	}
	if uint64(max(size, 0))>>d.shift < before {
		return false, fmt.Errorf("disk: the store shrank from %d to %d bytes: capacity stays, what is beyond cannot be read", before<<d.shift, size)
	}
	if err := d.setSize(size); err != nil {
		return false, err
	}
	return d.Blocks() != before, nil
}

// Close ends what runs in the background. The stores stay open: they are the
// caller's.
func (d *Disk) Close() error {
	d.mu.Lock()
	select {
	case <-d.closing:
		d.mu.Unlock()
		return errors.New("disk: closed twice")
	default:
		close(d.closing)
	}
	d.mu.Unlock()
	d.working.Wait()
	return nil
}

// Type implements scsi.Device: a direct access block device.
func (d *Disk) Type() byte { return 0x00 }

// Removable implements scsi.Device.
func (d *Disk) Removable() bool { return d.opt.Removable }

// Versions implements scsi.Device. SBC-3 is claimed beside SBC-4 because there
// are initiators that look for the one they know (SPC-5 table 157).
func (d *Disk) Versions() []uint16 { return []uint16{0x0600, 0x04c0} }

// Reset implements scsi.Device (SBC-4 4.10): the medium may be taken out again,
// and results of copies are forgotten. A SANITIZE goes on (SBC-4 4.11).
func (d *Disk) Reset() {
	d.mu.Lock()
	defer d.mu.Unlock()
	clear(d.prevented)
	d.copies.forget(nil)
}

// NexusLost implements scsi.Device.
func (d *Disk) NexusLost(p *scsi.Path) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.prevented, p)
	d.copies.forget(p)
}

// canAtomic says whether WRITE ATOMIC can keep its promise.
func (d *Disk) canAtomic() bool { return d.journal != nil || d.opt.Volatile }
