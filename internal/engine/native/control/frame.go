package control

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"

	"golang.org/x/sys/unix"
)

const (
	headerLen = 8
	magic     = 0xe505
	// maxBody bounds a frame. The largest is the state of an array with every
	// name at its longest; 16384 LUNs are some 10 MiB.
	maxBody = 64 << 20
	// maxFiles bounds the descriptors of a frame.
	maxFiles = 8
	// readStep is how much is taken from the socket before more memory is
	// made: a length alone makes nobody allocate.
	readStep = 256 << 10
)

// frame is one message. A request has ID and Op; its answer the same ID and
// Body or Error; an event has Op alone.
type frame struct {
	ID    uint64          `json:"id,omitempty"`
	Op    string          `json:"op,omitempty"`
	Error *Error          `json:"error,omitempty"`
	Body  json.RawMessage `json:"body,omitempty"`

	files []*os.File
}

// Error is an answer that says no.
type Error struct {
	Code Code   `json:"code"`
	Text string `json:"text"` // a sentence for people
}

// Error returns the sentence.
func (e *Error) Error() string { return e.Text }

// Code classes an Error.
type Code string

// Codes.
const (
	Failed   Code = "failed"    // tried, and it went wrong
	NotFound Code = "not-found" // no such object
	InUse    Code = "in-use"    // something else needs the object
	Refused  Code = "refused"   // cannot be done as asked
	Unknown  Code = "unknown"   // no such request
)

// Errorf makes an Error.
func Errorf(c Code, format string, args ...any) *Error {
	return &Error{Code: c, Text: fmt.Sprintf(format, args...)}
}

// Is reports whether err is an Error of code c.
func Is(err error, c Code) bool {
	var e *Error
	return errors.As(err, &e) && e.Code == c
}

// errProtocol is wrapped by what is wrong with the bytes of the other side.
var errProtocol = errors.New("control protocol")

// conn moves frames. One goroutine reads; many may write.
type conn struct {
	c *net.UnixConn
	// writing holds a token while a frame is being written.
	writing chan struct{}
}

func newConn(c *net.UnixConn) conn { return conn{c: c, writing: make(chan struct{}, 1)} }

// write sends f, its descriptors included; they stay the caller's to close. It
// waits no longer than ctx, though the other side reads nothing and the socket
// is full. A frame that was begun by then is finished as soon as there is room:
// after half a frame nothing on the connection would mean anything.
func (c *conn) write(ctx context.Context, f *frame) error {
	buf, err := f.encode()
	if err != nil {
		return err
	}
	files, err := duplicates(f.files)
	if err != nil {
		return err
	}
	select {
	case c.writing <- struct{}{}:
	case <-ctx.Done():
		return closeAll(files, ctx.Err())
	}
	sent := make(chan error, 1)
	go func() {
		err := c.send(buf, files)
		if err != nil {
			c.c.Close()
			err = fmt.Errorf("%w: %w", ErrClosed, err)
		}
		<-c.writing
		sent <- closeAll(files, err)
	}()
	select {
	case err := <-sent:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// encode returns the header and the body of f.
func (f *frame) encode() ([]byte, error) {
	body, err := json.Marshal(f)
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", f.Op, err)
	}
	if len(body) > maxBody || len(f.files) > maxFiles {
		return nil, fmt.Errorf("%w: frame of %d bytes and %d descriptors is too large", errProtocol, len(body), len(f.files))
	}
	buf := make([]byte, headerLen+len(body))
	binary.BigEndian.PutUint16(buf, magic)
	binary.BigEndian.PutUint16(buf[2:], uint16(len(f.files)))
	binary.BigEndian.PutUint32(buf[4:], uint32(len(body)))
	copy(buf[headerLen:], body)
	return buf, nil
}

// duplicates are descriptors of their own: the caller may close its files
// before the frame is written.
func duplicates(files []*os.File) ([]*os.File, error) {
	var own []*os.File
	for _, f := range files {
		fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 0)
		if err != nil {
			return nil, closeAll(own, fmt.Errorf("hand over %s: %w", f.Name(), err))
		}
		own = append(own, os.NewFile(uintptr(fd), f.Name()))
	}
	return own, nil
}

// send writes an encoded frame.
func (c *conn) send(buf []byte, files []*os.File) error {
	var oob []byte
	if len(files) > 0 {
		fds := make([]int, len(files))
		for i, file := range files {
			fds[i] = int(file.Fd())
		}
		oob = unix.UnixRights(fds...)
	}
	// The descriptors ride on the first byte (unix(7)), so on the header.
	n, _, err := c.c.WriteMsgUnix(buf[:headerLen], oob, nil)
	if err == nil && n < len(buf) {
		_, err = c.c.Write(buf[n:])
	}
	return err
}

// read returns the next frame. Its files are the caller's to close. io.EOF
// means that the other side ended between two frames.
func (c *conn) read() (*frame, error) {
	var h [headerLen]byte
	files, err := c.header(h[:])
	if err != nil {
		return nil, closeAll(files, err)
	}
	size := binary.BigEndian.Uint32(h[4:])
	switch {
	case binary.BigEndian.Uint16(h[:]) != magic:
		return nil, closeAll(files, fmt.Errorf("%w: frame begins with % x", errProtocol, h[:2]))
	case size > maxBody:
		return nil, closeAll(files, fmt.Errorf("%w: frame of %d bytes is longer than %d", errProtocol, size, maxBody))
	case int(binary.BigEndian.Uint16(h[2:])) != len(files):
		return nil, closeAll(files, fmt.Errorf("%w: frame announces %d descriptors and brings %d", errProtocol, binary.BigEndian.Uint16(h[2:]), len(files)))
	}
	body, err := readBody(c.c, int(size))
	if err != nil {
		return nil, closeAll(files, err)
	}
	f := &frame{files: files}
	if err := json.Unmarshal(body, f); err != nil {
		return nil, closeAll(files, fmt.Errorf("%w: %w", errProtocol, err))
	}
	return f, nil
}

// header fills h and collects the descriptors that come with it.
func (c *conn) header(h []byte) (files []*os.File, err error) {
	oob := make([]byte, unix.CmsgSpace(4*maxFiles))
	for got := 0; got < len(h); {
		// Descriptors arrive close-on-exec: package net asks for it.
		n, oobn, flags, _, err := c.c.ReadMsgUnix(h[got:], oob)
		fds, perr := rights(oob[:oobn])
		files = append(files, fds...)
		switch {
		case err == nil && n == 0, errors.Is(err, io.EOF):
			if got == 0 {
				return files, io.EOF
			}
			return files, io.ErrUnexpectedEOF
		case err != nil:
			return files, err
		case perr != nil:
			return files, perr
		case flags&unix.MSG_CTRUNC != 0 || len(files) > maxFiles:
			return files, fmt.Errorf("%w: more than %d descriptors on a frame", errProtocol, maxFiles)
		}
		got += n
	}
	return files, nil
}

// rights takes the descriptors out of control messages.
func rights(oob []byte) (files []*os.File, err error) {
	if len(oob) == 0 {
		return nil, nil
	}
	msgs, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errProtocol, err)
	}
	for i := range msgs {
		fds, err := unix.ParseUnixRights(&msgs[i])
		if err != nil {
			continue // another kind of message: nothing to close
		}
		for _, fd := range fds {
			files = append(files, os.NewFile(uintptr(fd), "received"))
		}
	}
	return files, nil
}

// readBody reads n bytes; memory grows with what has really arrived.
func readBody(r io.Reader, n int) ([]byte, error) {
	body := make([]byte, 0, min(n, readStep))
	for len(body) < n {
		if len(body) == cap(body) {
			grown := make([]byte, len(body), min(n, 2*cap(body)))
			copy(grown, body)
			body = grown
		}
		got, err := io.ReadFull(r, body[len(body):cap(body)])
		body = body[:len(body)+got]
		if err != nil {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return nil, err
		}
	}
	return body, nil
}

// closeAll closes files and returns err.
func closeAll(files []*os.File, err error) error {
	for _, f := range files {
		f.Close()
	}
	return err
}
