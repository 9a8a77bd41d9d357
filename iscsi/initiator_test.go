package iscsi

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/esos-project/esos/backing"
	"github.com/esos-project/esos/iscsi/login"
	"github.com/esos-project/esos/iscsi/wire"
	"github.com/esos-project/esos/scsi"
	"github.com/esos-project/esos/scsi/disk"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	targetName    = "iqn.2026-01.test:t0"
	initiatorName = "iqn.2026-01.test:host"
	blockSize     = 512
	diskSize      = 16 << 20
)

// rig is a server with one target, one portal and one disk.
type rig struct {
	t      testing.TB
	server *Server
	scsi   *scsi.Target
	config TargetConfig
	store  *slowStore
	addr   string
	events chan Event
}

// slowStore is memory that can be made to wait.
type slowStore struct {
	*backing.Memory
	away    atomic.Bool   // see Direct
	slow    atomic.Bool   // Try methods would have to wait, the others do
	entered chan struct{} // a waiting method was called
	open    chan struct{} // closed: waiting methods go on
}

func (s *slowStore) TryReadAt(p []byte, off int64) (int, error) {
	if s.slow.Load() {
		return 0, backing.ErrWouldBlock
	}
	return s.Memory.ReadAt(p, off)
}

func (s *slowStore) TryWriteAt(p []byte, off int64) (int, error) {
	if s.slow.Load() {
		return 0, backing.ErrWouldBlock
	}
	return s.Memory.WriteAt(p, off)
}

func (s *slowStore) wait() {
	if s.slow.Load() {
		select {
		case s.entered <- struct{}{}:
		default:
		}
		<-s.open
	}
}

func (s *slowStore) ReadAt(p []byte, off int64) (int, error) {
	s.wait()
	return s.Memory.ReadAt(p, off)
}

func (s *slowStore) WriteAt(p []byte, off int64) (int, error) {
	s.wait()
	return s.Memory.WriteAt(p, off)
}

func newRig(t testing.TB, o Options) *rig {
	t.Helper()
	r := &rig{t: t, events: make(chan Event, 1000)}
	r.store = &slowStore{Memory: backing.NewMemory(diskSize), entered: make(chan struct{}, 1000), open: make(chan struct{})}
	d, err := disk.New(r.store, disk.Options{BlockSize: blockSize})
	if err != nil {
		t.Fatal(err)
	}
	u := scsi.NewUnit(scsi.Identity{Name: "d0", Vendor: "ESOS", Product: "test", Revision: "1", Serial: "1", NAA: 0x3000000000000001}, d)
	r.scsi = scsi.NewTarget(targetName)
	if err := r.scsi.PutLUN("", scsi.Mapping{LUN: 0, Unit: u}); err != nil {
		t.Fatal(err)
	}
	o.Events = func(e Event) {
		select {
		case r.events <- e:
		default:
		}
	}
	r.server = NewServer(o)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r.addr = l.Addr().String()
	if err := r.server.AddPortal("p0", l, 1, ""); err != nil {
		t.Fatal(err)
	}
	r.config = TargetConfig{Name: targetName, SCSI: r.scsi, Offer: login.DefaultOffer(),
		Ports: map[int]*scsi.Port{1: {Name: targetName + ",t,0x0001", ID: 1}}}
	if err := r.server.PutTarget(r.config); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		select {
		case <-r.store.open:
		default:
			close(r.store.open)
		}
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		if err := r.server.Shutdown(ctx); err != nil && !errors.Is(err, ErrClosed) {
			t.Error(err)
		}
	})
	return r
}

// event waits for an event of a kind.
func (r *rig) event(kind EventKind) Event {
	r.t.Helper()
	for {
		select {
		case e := <-r.events:
			if e.Kind == kind {
				return e
			}
		case <-time.After(10 * time.Second):
			r.t.Fatalf("no event %s", kind)
		}
	}
}

// initiator is the other side, PDU by PDU.
type initiator struct {
	t         testing.TB
	conn      net.Conn
	itt       uint32
	cmdSN     uint32
	expStatSN uint32
	maxCmdSN  uint32
	header    bool // digests
	data      bool
	maxSend   int
	maxBurst  int
}

// pdu is a PDU as it came.
type pdu struct {
	wire.BHS
	body []byte
}

func (r *rig) dial() *initiator {
	r.t.Helper()
	conn, err := net.Dial("tcp", r.addr)
	if err != nil {
		r.t.Fatal(err)
	}
	i := &initiator{t: r.t, conn: conn, cmdSN: 1, expStatSN: 0}
	r.t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		r.t.Fatal(err)
	}
	return i
}

// login logs in to the target with further keys ("Key=value").
func (r *rig) login(isid byte, keys ...wire.Pair) *initiator {
	r.t.Helper()
	i := r.dial()
	if s := i.login(isid, "Normal", keys...); s != wire.LoginSuccess {
		r.t.Fatalf("login: %s", s)
	}
	// The first command hears POWER ON.
	for range 2 {
		if i.testUnitReady() == byte(scsi.Good) {
			return i
		}
	}
	r.t.Fatal("the unit does not become ready")
	return nil
}

func (i *initiator) login(isid byte, kind string, keys ...wire.Pair) wire.LoginStatus {
	i.t.Helper()
	text := wire.Text{{Key: "InitiatorName", Value: initiatorName}, {Key: "SessionType", Value: kind}}
	if kind == "Normal" {
		text.Add("TargetName", targetName)
	}
	text = append(text, keys...)
	data := text.Append(nil)
	var h wire.BHS
	wire.LoginRequest{Transit: true, Current: wire.StageOperational, Next: wire.StageFullFeature, DataLength: len(data),
		ISID: wire.ISID{0x80, 0, 0, 0, 0, isid}, ITT: 1, CmdSN: i.cmdSN}.Put(&h)
	i.send(&h, data)
	p := i.receive()
	if p.LoginStatus() != wire.LoginSuccess {
		return p.LoginStatus()
	}
	answer, err := wire.ParseText(p.body)
	if err != nil {
		i.t.Fatal(err)
	}
	for _, a := range answer {
		switch a.Key {
		case "HeaderDigest":
			i.header = a.Value == login.DigestCRC32C
		case "DataDigest":
			i.data = a.Value == login.DigestCRC32C
		case "MaxRecvDataSegmentLength":
			n, _ := wire.ParseNumber(a.Value, 512, 1<<24)
			i.maxSend = int(n)
		case "MaxBurstLength":
			n, _ := wire.ParseNumber(a.Value, 512, 1<<24)
			i.maxBurst = int(n)
		}
	}
	i.maxCmdSN = p.MaxCmdSN()
	return wire.LoginSuccess
}

// encode makes a PDU with its digests.
func (i *initiator) encode(h *wire.BHS, data []byte) []byte {
	p := append([]byte(nil), h[:]...)
	if i.header {
		p = binary.LittleEndian.AppendUint32(p, wire.Digest(h[:]))
	}
	p = append(p, data...)
	p = append(p, make([]byte, wire.Padding(len(data)))...)
	if i.data && len(data) > 0 {
		p = binary.LittleEndian.AppendUint32(p, wire.DataDigest(data))
	}
	return p
}

func (i *initiator) send(h *wire.BHS, data []byte) {
	i.t.Helper()
	i.write(i.encode(h, data))
}

func (i *initiator) write(p []byte) {
	i.t.Helper()
	if _, err := i.conn.Write(p); err != nil {
		i.t.Fatalf("send: %v", err)
	}
}

// receive returns the next PDU.
func (i *initiator) receive() *pdu {
	i.t.Helper()
	p, err := i.tryReceive()
	if err != nil {
		i.t.Fatalf("receive: %v", err)
	}
	return &p
}

func (i *initiator) tryReceive() (pdu, error) {
	var p pdu
	if _, err := io.ReadFull(i.conn, p.BHS[:]); err != nil {
		return p, err
	}
	if i.header {
		var d [4]byte
		if _, err := io.ReadFull(i.conn, d[:]); err != nil {
			return p, err
		}
		if wire.ReadDigest(d[:]) != wire.Digest(p.BHS[:]) {
			i.t.Fatalf("%s with a wrong header digest", p.Opcode())
		}
	}
	n := p.DataLength()
	body := make([]byte, n+wire.Padding(n))
	if _, err := io.ReadFull(i.conn, body); err != nil {
		return p, err
	}
	if i.data && n > 0 {
		var d [4]byte
		if _, err := io.ReadFull(i.conn, d[:]); err != nil {
			return p, err
		}
		if wire.ReadDigest(d[:]) != wire.Digest(body) {
			i.t.Fatalf("%s with a wrong data digest", p.Opcode())
		}
	}
	p.body = body[:n]
	if int32(p.MaxCmdSN()-i.maxCmdSN) > 0 {
		i.maxCmdSN = p.MaxCmdSN()
	}
	return p, nil
}

// closed waits for the target to close the connection.
func (i *initiator) closed() {
	i.t.Helper()
	for {
		if _, err := i.tryReceive(); err != nil {
			var n net.Error
			if errors.As(err, &n) && n.Timeout() {
				i.t.Fatal("the connection stays open")
			}
			return
		}
	}
}

// command makes a SCSI Command PDU with the next tag and CmdSN.
func (i *initiator) command(cdb []byte, flags byte, expected int, immediate []byte) []byte {
	i.itt++
	c := wire.SCSICommand{Flags: flags | 1, DataLength: len(immediate), ITT: i.itt, Expected: uint32(expected),
		CmdSN: i.cmdSN, ExpStatSN: i.expStatSN}
	i.cmdSN++
	copy(c.CDB[:], cdb)
	var h wire.BHS
	c.Put(&h)
	return i.encode(&h, immediate)
}

func (i *initiator) testUnitReady() byte {
	i.t.Helper()
	i.write(i.command([]byte{0}, wire.FlagFinal, 0, nil))
	p := i.response(i.itt)
	return p.Status()
}

// response waits for the SCSI Response of a task.
func (i *initiator) response(itt uint32) *pdu {
	i.t.Helper()
	p := i.receive()
	if p.Opcode() != wire.OpSCSIResponse || p.ITT() != itt {
		i.t.Fatalf("got %s for task %d, want the SCSI Response for %d", p.Opcode(), p.ITT(), itt)
	}
	i.expStatSN = p.StatSN() + 1
	return p
}

func rw16(op byte, lba, blocks int) []byte {
	cdb := make([]byte, 16)
	cdb[0] = op
	binary.BigEndian.PutUint64(cdb[2:], uint64(lba))
	binary.BigEndian.PutUint32(cdb[10:], uint32(blocks))
	return cdb
}

func (i *initiator) read(lba, blocks int) []byte {
	return i.command(rw16(0x88, lba, blocks), wire.FlagFinal|wire.FlagRead, blocks*blockSize, nil)
}

// write16 is a WRITE(16) with as much immediate data as is given.
func (i *initiator) write16(lba, blocks int, immediate []byte) []byte {
	return i.command(rw16(0x8a, lba, blocks), wire.FlagFinal|wire.FlagWrite, blocks*blockSize, immediate)
}

// collect receives the Data-In PDUs of a READ and checks their numbering.
func (i *initiator) collect(itt uint32, n int) []byte {
	i.t.Helper()
	var all []byte
	burst := 0
	for sn := uint32(0); ; sn++ {
		p := i.receive()
		if p.Opcode() != wire.OpDataIn || p.ITT() != itt {
			i.t.Fatalf("got %s for task %d, want Data-In for %d", p.Opcode(), p.ITT(), itt)
		}
		if p.DataSN() != sn || int(p.BufferOffset()) != len(all) {
			i.t.Fatalf("Data-In %d at %d, want %d at %d", p.DataSN(), p.BufferOffset(), sn, len(all))
		}
		all = append(all, p.body...)
		if burst += len(p.body); i.maxBurst > 0 && burst > i.maxBurst {
			i.t.Fatalf("a sequence of %d bytes, MaxBurstLength is %d", burst, i.maxBurst)
		}
		if p.Flags()&wire.FlagFinal != 0 {
			burst = 0
		}
		if p.Flags()&wire.FlagStatus != 0 {
			if p.Flags()&wire.FlagFinal == 0 || p.Status() != byte(scsi.Good) {
				i.t.Fatalf("last Data-In has flags %02x and status %02x", p.Flags(), p.Status())
			}
			i.expStatSN = p.StatSN() + 1
			break
		}
	}
	if len(all) != n {
		i.t.Fatalf("%d bytes of Data-In, want %d", len(all), n)
	}
	return all
}

// dataOut makes a Data-Out.
func (i *initiator) dataOut(itt, ttt, sn uint32, offset int, data []byte, final bool) []byte {
	var h wire.BHS
	wire.DataOut{Final: final, DataLength: len(data), ITT: itt, TTT: ttt, ExpStatSN: i.expStatSN, DataSN: sn, Offset: uint32(offset)}.Put(&h)
	return i.encode(&h, data)
}

// pattern is data that differs everywhere.
func pattern(n int, seed byte) []byte {
	p := make([]byte, n)
	for k := range p {
		p[k] = byte(k) ^ byte(k>>8)*7 ^ seed
	}
	return p
}
