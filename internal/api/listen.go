package api

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/esos-project/esos/internal/config"
	"github.com/esos-project/esos/internal/engine"
)

// ListenUnix makes the API's Unix socket, for its owner and root alone. A
// socket that nobody listens on any more is replaced.
func ListenUnix(path string) (net.Listener, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, fmt.Errorf("make the directory of the API's socket: %w", err)
	}
	if c, err := net.DialTimeout("unix", path, time.Second); err == nil {
		c.Close()
		return nil, fmt.Errorf("listen on the API's socket %s: another daemon answers there; stop it first, or use another --run-dir", path)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("remove the old socket of the API: %w", err)
	}
	// The mask is the process's: this runs before anything else makes files.
	old := unix.Umask(0o177)
	l, err := net.Listen("unix", path)
	unix.Umask(old)
	if err != nil {
		return nil, fmt.Errorf("listen on the API's socket: %w", err)
	}
	return l, nil
}

// server makes an http.Server with bounds on what a stranger can hold open.
func (s *Server) server() *http.Server {
	return &http.Server{
		Handler:           s,
		ConnContext:       withConn,
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    32 << 10,
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
}

// ServeUnix answers on l until ctx ends, then lets requests under way finish
// for a moment.
func (s *Server) ServeUnix(ctx context.Context, l net.Listener) error {
	srv := s.server()
	ended := make(chan error, 1)
	go func() { ended <- srv.Serve(l) }()
	select {
	case err := <-ended:
		return fmt.Errorf("serve the API: %w", err)
	case <-ctx.Done():
	}
	s.stop()
	shutdown(srv)
	if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve the API: %w", err)
	}
	return nil
}

// stop ends long polls and streams, and the TCP listener.
func (s *Server) stop() {
	s.stopOnce.Do(func() { close(s.stopping) })
	s.tcp.close()
}

func shutdown(srv *http.Server) {
	ctx, cancel := context.WithTimeout(context.Background(), 250*time.Millisecond)
	defer cancel()
	if srv.Shutdown(ctx) != nil {
		srv.Close()
	}
}

// tcp is the API's listener on TCP, off unless the document asks for it.
type tcp struct {
	mu          sync.Mutex
	now         config.API // what it was made from
	srv         *http.Server
	done        chan struct{}
	address     string
	fingerprint string
	closed      bool
	err         error // why it does not listen though it should
}

// Follow makes the API what the document in force says, now and after each
// change, until ctx ends.
func (s *Server) Follow(ctx context.Context) error {
	for {
		changes, err := s.app.Subscribe(ctx, -1)
		if err != nil {
			return fmt.Errorf("watch the document: %w", err)
		}
		s.configure(ctx)
		for e := range changes {
			if e.Kind == "apply.done" {
				s.configure(ctx)
			}
		}
		// It was closed: at the end, or because this was too slow.
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(time.Second):
		}
	}
}

// refresh takes up who may use the API now.
func (s *Server) refresh(ctx context.Context) {
	doc, _, err := s.app.Document(ctx)
	if err != nil {
		s.log.Error("the document cannot be read; the API goes on with its old users", "err", err)
		return
	}
	s.take(doc)
}

// take takes up who may ask, over TCP and at the socket.
func (s *Server) take(doc *config.Document) {
	s.settings.Store(&doc.API)
	s.accounts.Store(&doc.Users)
}

func (s *Server) configure(ctx context.Context) {
	doc, _, err := s.app.Document(ctx)
	if err == nil {
		s.take(doc)
		err = s.listenTCP(doc)
	}
	if err != nil {
		s.app.Note(engine.Event{Time: s.now().UTC(), Kind: "api.failed", Object: "api", Message: err.Error()})
	}
}

// listenTCP listens where a document says.
func (s *Server) listenTCP(doc *config.Document) (err error) {
	settings := doc.API
	t := &s.tcp
	t.mu.Lock()
	defer t.mu.Unlock()
	defer func() { t.err = err }()
	same := t.srv != nil && t.now.Listen == settings.Listen && t.now.Cert == settings.Cert && t.now.Key == settings.Key
	if same || t.closed || t.srv == nil && settings.Listen == "" {
		return nil
	}
	t.shut()
	if settings.Listen == "" {
		return nil
	}
	cert, err := loadCertificate(settings.Cert, settings.Key, s.certDir, doc.Name, settings.Listen)
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", settings.Listen)
	if err != nil {
		return fmt.Errorf("listen for the API on %s: %w; change api.listen in the document", settings.Listen, err)
	}
	t.now, t.srv, t.done = settings, s.server(), make(chan struct{})
	t.address, t.fingerprint = l.Addr().String(), Fingerprint(cert.Certificate[0])
	t.srv.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{cert}}
	srv, done := t.srv, t.done
	go func() {
		defer close(done)
		if err := srv.ServeTLS(newLimitedListener(l), "", ""); !errors.Is(err, http.ErrServerClosed) {
			s.log.Error("the API does not listen on TCP any more", "address", settings.Listen, "err", err)
		}
	}()
	s.log.Info("API listens", "address", "https://"+t.address, "fingerprint", t.fingerprint)
	return nil
}

// shut closes the listener; t.mu is held.
func (t *tcp) shut() {
	if t.srv != nil {
		shutdown(t.srv)
		<-t.done
		t.srv, t.address, t.fingerprint = nil, "", ""
	}
}

func (t *tcp) close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.closed = true
	t.shut()
}

// where tells the address that it listens on, "" if it does not, and its
// certificate's fingerprint; and why it does not if it should.
func (t *tcp) where() (address, fingerprint string, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.address, t.fingerprint, t.err
}

const (
	// maxConnections bounds the memory that strangers can take: connections
	// over TCP at once.
	maxConnections = 256
	// maxFromOne is how many of them one address may have: one stranger must
	// not lock everybody else out.
	maxFromOne = 32
)

// limitedListener accepts no more connections than it has places, and from one
// address no more than maxFromOne.
type limitedListener struct {
	net.Listener
	places chan struct{}
	mu     sync.Mutex
	from   map[netip.Addr]int
}

func newLimitedListener(l net.Listener) *limitedListener {
	return &limitedListener{Listener: l, places: make(chan struct{}, maxConnections), from: map[netip.Addr]int{}}
}

// Accept waits for a place, then for a connection.
func (l *limitedListener) Accept() (net.Conn, error) {
	l.places <- struct{}{}
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			<-l.places
			return nil, err
		}
		addr, ok := l.admit(c)
		if !ok {
			_ = c.Close() // it has more than enough
			continue
		}
		return &placedConn{Conn: c, free: sync.OnceFunc(func() { l.leave(addr) })}, nil
	}
}

// admit counts a connection for its address, unless that has too many.
func (l *limitedListener) admit(c net.Conn) (netip.Addr, bool) {
	var addr netip.Addr
	if ap, err := netip.ParseAddrPort(c.RemoteAddr().String()); err == nil {
		addr = limited(ap.Addr())
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.from[addr] >= maxFromOne {
		return addr, false
	}
	l.from[addr]++
	return addr, true
}

func (l *limitedListener) leave(addr netip.Addr) {
	l.mu.Lock()
	if l.from[addr]--; l.from[addr] == 0 {
		delete(l.from, addr)
	}
	l.mu.Unlock()
	<-l.places
}

// placedConn gives its place back when it is closed.
type placedConn struct {
	net.Conn
	free func()
}

// Close closes the connection.
func (c *placedConn) Close() error {
	defer c.free()
	return c.Conn.Close()
}
