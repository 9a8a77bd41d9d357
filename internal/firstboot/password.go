package firstboot

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/go-crypt/crypt/algorithm/shacrypt"
	"github.com/google/renameio/v2"

	"github.com/esos-project/esos/internal/host"
)

// letters are Crockford's 32: none is taken for another when read off a screen.
const letters = "0123456789abcdefghjkmnpqrstvwxyz"

// newPassword is 80 bits of chance in four groups of four.
func newPassword() string {
	b := make([]byte, 16)
	rand.Read(b) // never fails (crypto/rand)
	var p strings.Builder
	for i, x := range b {
		if i > 0 && i%4 == 0 {
			p.WriteByte('-')
		}
		p.WriteByte(letters[x%32])
	}
	return p.String()
}

// rounds is what SHA-512 hashes have when they do not say: with a password of
// 80 bits more would only make each login late.
const rounds = 5000

// hashPassword makes a hash as crypt(5) has it ($6$).
func hashPassword(password string) (string, error) {
	h, err := shacrypt.New(shacrypt.WithSHA512(), shacrypt.WithRounds(rounds))
	if err != nil {
		return "", fmt.Errorf("hash a password: %w", err)
	}
	d, err := h.Hash(password)
	if err != nil {
		return "", fmt.Errorf("hash a password: %w", err)
	}
	return d.Encode(), nil
}

const (
	shadowFile = "etc/shadow"
	shadowLock = "etc/.pwd.lock"
)

// shadow is /etc/shadow as lines of fields (shadow(5)).
type shadow [][]string

func (m Machine) readShadow() (shadow, error) {
	text, err := os.ReadFile(m.path(shadowFile))
	if err != nil {
		return nil, fmt.Errorf("read passwords: %w", err)
	}
	var s shadow
	for line := range strings.Lines(string(text)) {
		s = append(s, strings.Split(strings.TrimSuffix(line, "\n"), ":"))
	}
	return s, nil
}

// user returns the fields of a user.
func (s shadow) user(name string) ([]string, error) {
	for _, f := range s {
		if f[0] == name && len(f) >= 3 {
			return f, nil
		}
	}
	return nil, fmt.Errorf("read passwords: %w %s in %s (systemd-sysusers makes it when the image is built)", errNoUser, name, shadowFile)
}

// errNoUser says that a user is not there: an administrator may have removed it.
var errNoUser = errors.New("there is no user")

func (s shadow) bytes() []byte {
	var b strings.Builder
	for _, f := range s {
		b.WriteString(strings.Join(f, ":") + "\n")
	}
	return []byte(b.String())
}

// locked says whether a user has no password that opens anything. Once the
// first boot is over an administrator may have removed the user, who then needs
// none.
func (m Machine) locked(name string) (bool, error) {
	hash, err := m.hash(name)
	if errors.Is(err, errNoUser) && m.Done() {
		return false, nil
	}
	return err == nil && !strings.HasPrefix(hash, "$"), err
}

func (m Machine) hash(name string) (string, error) {
	s, err := m.readShadow()
	if err != nil {
		return "", err
	}
	f, err := s.user(name)
	if err != nil {
		return "", err
	}
	return f[1], nil
}

// setPassword gives a user a password, as passwd(1) does.
func (m Machine) setPassword(name, password string) error {
	hash, err := hashPassword(password)
	if err != nil {
		return err
	}
	unlock, err := m.lockPasswords()
	if err != nil {
		return fmt.Errorf("set the password of %s: %w", name, err)
	}
	defer unlock()
	s, err := m.readShadow()
	if err != nil {
		return err
	}
	f, err := s.user(name)
	if err != nil {
		return err
	}
	f[1] = hash
	f[2] = strconv.FormatInt(time.Now().Unix()/(24*60*60), 10)
	if err := m.replaceShadow(s); err != nil {
		return fmt.Errorf("set the password of %s: %w", name, err)
	}
	m.Log.Info("made a password; the consoles show it until it is changed", "user", name)
	return nil
}

// lockPasswords keeps passwd(1) and its kind away (lckpwdf(3)).
func (m Machine) lockPasswords() (unlock func(), err error) {
	f, err := os.OpenFile(m.path(shadowLock), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	lock := syscall.Flock_t{Type: syscall.F_WRLCK}
	for end := time.Now().Add(15 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		if err = syscall.FcntlFlock(f.Fd(), syscall.F_SETLK, &lock); err == nil {
			return func() { f.Close() }, nil
		}
		if !errors.Is(err, syscall.EAGAIN) && !errors.Is(err, syscall.EACCES) || time.Now().After(end) {
			f.Close()
			return nil, fmt.Errorf("lock %s: %w", f.Name(), err)
		}
	}
}

// replaceShadow puts another /etc/shadow in the place of the one that is
// there, with its mode and owners.
func (m Machine) replaceShadow(s shadow) error {
	path := m.path(shadowFile)
	var st syscall.Stat_t
	if err := syscall.Stat(path, &st); err != nil {
		return err
	}
	t, err := renameio.NewPendingFile(path, renameio.WithPermissions(0o600), renameio.IgnoreUmask())
	if err != nil {
		return err
	}
	defer func() { _ = t.Cleanup() }() // of no effect once it is in place
	if _, err := t.Write(s.bytes()); err != nil {
		return err
	}
	if err := t.Chown(int(st.Uid), int(st.Gid)); err != nil {
		return err
	}
	if err := t.Chmod(os.FileMode(st.Mode & 0o777)); err != nil {
		return err
	}
	if err := t.CloseAtomicallyReplace(); err != nil {
		return err
	}
	return host.SyncDir(m.path("etc"))
}

// digest stands for a hash where the hash itself is nobody's business.
func digest(hash string) string {
	sum := sha256.Sum256([]byte(hash))
	return hex.EncodeToString(sum[:])
}
