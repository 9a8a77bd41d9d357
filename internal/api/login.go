package api

import (
	"sync"
	"time"
)

// A login session ends when it was not used for a while, and at the latest
// after half a day.
const (
	sessionIdle = 30 * time.Minute
	sessionLife = 12 * time.Hour
	// maxSessions bounds them by user; the one unused for longest gives way.
	maxSessions = 16
)

// logins are the sessions of users who gave a password. They live in memory:
// a restart of the daemon ends them.
type logins struct {
	mu   sync.Mutex
	now  func() time.Time
	open map[string]*login // by the hash of its token
}

type login struct {
	user     string
	password string // the hash that was proved; a changed password ends the session
	since    time.Time
	used     time.Time
}

func newLogins(now func() time.Time) *logins {
	return &logins{now: now, open: map[string]*login{}}
}

// start opens a session and returns its token and when it ends at the latest.
func (l *logins) start(user, passwordHash string) (token string, until time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	l.expire(now)
	var oldest string
	n := 0
	for k, s := range l.open {
		if s.user != user {
			continue
		}
		n++
		if oldest == "" || s.used.Before(l.open[oldest].used) {
			oldest = k
		}
	}
	if n >= maxSessions {
		delete(l.open, oldest)
	}
	token = newToken(sessionPrefix)
	l.open[hashToken(token)] = &login{user: user, password: passwordHash, since: now, used: now}
	return token, now.Add(sessionLife)
}

// find returns whose session a token opens and the password hash it stands on.
func (l *logins) find(token string) (user, passwordHash string, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	l.expire(now)
	// Finding it by its hash tells a stranger nothing about tokens that exist.
	s := l.open[hashToken(token)]
	if s == nil {
		return "", "", false
	}
	s.used = now
	return s.user, s.password, true
}

// end closes the session of a token.
func (l *logins) end(token string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.open, hashToken(token))
}

func (l *logins) expire(now time.Time) {
	for k, s := range l.open {
		if now.Sub(s.used) > sessionIdle || now.Sub(s.since) > sessionLife {
			delete(l.open, k)
		}
	}
}
