package accounts

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Listing is all accounts and groups of a machine.
type Listing struct {
	Accounts map[string]Account
	Groups   map[string]int // their numbers

	memberOf map[string][]string // groups by account, the primary one left out
}

// ByUID returns the account that has a number, nil if none has.
func (l Listing) ByUID(uid int) *Account {
	for _, a := range l.Accounts {
		if a.UID == uid {
			return &a
		}
	}
	return nil
}

// List reads all accounts.
func (m Machine) List() (Listing, error) {
	l := Listing{Accounts: map[string]Account{}, Groups: map[string]int{}, memberOf: map[string][]string{}}
	err := m.lines("/etc/group", 4, func(f []string) error { // group(5)
		gid, err := strconv.Atoi(f[2])
		if err != nil {
			return err
		}
		l.Groups[f[0]] = gid
		for name := range strings.SplitSeq(f[3], ",") {
			if name != "" {
				l.memberOf[name] = append(l.memberOf[name], f[0])
			}
		}
		return nil
	})
	if err != nil {
		return l, err
	}
	if err := m.lines("/etc/passwd", 7, func(f []string) error { // passwd(5)
		uid, err := strconv.Atoi(f[2])
		full, _, _ := strings.Cut(f[4], ",")
		l.Accounts[f[0]] = Account{Name: f[0], UID: uid, FullName: full}
		return err
	}); err != nil {
		return l, err
	}
	if err := m.lines("/etc/shadow", 8, func(f []string) error { // shadow(5)
		if a, ok := l.Accounts[f[0]]; ok {
			a.Hash = Hash(f[1])
			day, err := strconv.Atoi(f[7])
			a.Expired = err == nil && int64(day) <= time.Now().Unix()/(24*60*60)
			l.Accounts[f[0]] = a
		}
		return nil
	}); err != nil {
		return l, err
	}
	for name, a := range l.Accounts {
		for _, g := range ManagedGroups() {
			if slices.Contains(l.memberOf[name], g) {
				a.Groups = append(a.Groups, g)
			}
		}
		if a.Keys, err = m.keys(name); err != nil {
			return l, err
		}
		_, err := os.Lstat(m.path(record(name)))
		a.Ours = err == nil
		l.Accounts[name] = a
	}
	return l, nil
}

// lines visits the lines of a file that have at least as many fields.
func (m Machine) lines(name string, fields int, visit func(f []string) error) error {
	text, err := os.ReadFile(m.path(name))
	if err != nil {
		return fmt.Errorf("list users: %w", err)
	}
	for line := range strings.Lines(string(text)) {
		f := strings.Split(strings.TrimSuffix(line, "\n"), ":")
		if len(f) < fields {
			continue
		}
		if err := visit(f); err != nil {
			return fmt.Errorf("list users: %s, %s: %w", name, f[0], err)
		}
	}
	return nil
}

// keys reads the lines of an account's keys. Root's are in its home, too.
func (m Machine) keys(name string) ([]string, error) {
	files := []string{filepath.Join(KeyDir, name)}
	if name == "root" {
		files = append(files, "/root/.ssh/authorized_keys")
	}
	var keys []string
	for _, file := range files {
		more, err := m.keysIn(file)
		if err != nil {
			return nil, fmt.Errorf("list users: %w", err)
		}
		keys = append(keys, more...)
	}
	return keys, nil
}

func (m Machine) keysIn(file string) ([]string, error) {
	text, err := os.ReadFile(m.path(file))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var keys []string
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
			keys = append(keys, line)
		}
	}
	return keys, nil
}
