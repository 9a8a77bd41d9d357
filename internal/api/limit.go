package api

import (
	"net/netip"
	"sync"
	"time"
)

// Failed logins an address may make: a handful at once, then one every few
// seconds.
const (
	loginBurst  = 5
	loginRefill = 12 * time.Second
	// loginAddresses bounds the memory that strangers can take.
	loginAddresses = 4096
)

// loginLimiter counts failed logins by address. A try is taken before the
// credentials are looked at and given back when they were right, so that many
// tries at once do not get past it.
type loginLimiter struct {
	mu      sync.Mutex
	now     func() time.Time
	buckets map[netip.Addr]*loginBucket
}

type loginBucket struct {
	spent float64 // tries not yet refilled
	at    time.Time
}

func newLoginLimiter(now func() time.Time) *loginLimiter {
	return &loginLimiter{now: now, buckets: map[netip.Addr]*loginBucket{}}
}

// take takes a try from addr; if none is left it returns how long to wait.
func (l *loginLimiter) take(addr netip.Addr) (wait time.Duration, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	b := l.bucket(addr)
	if b.spent+1 > loginBurst {
		return time.Duration((b.spent + 1 - loginBurst) * float64(loginRefill)), false
	}
	b.spent++
	return 0, true
}

// giveBack returns a try that ended in a login.
func (l *loginLimiter) giveBack(addr netip.Addr) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if b := l.bucket(addr); b.spent >= 1 {
		b.spent--
	}
}

func (l *loginLimiter) bucket(addr netip.Addr) *loginBucket {
	addr = limited(addr)
	now := l.now()
	b := l.buckets[addr]
	if b == nil {
		if len(l.buckets) >= loginAddresses {
			l.evict(now)
		}
		b = &loginBucket{at: now}
		l.buckets[addr] = b
	}
	b.refill(now)
	return b
}

func (b *loginBucket) refill(now time.Time) {
	b.spent = max(0, b.spent-float64(now.Sub(b.at))/float64(loginRefill))
	b.at = now
}

// evictSample is how many addresses are looked at to find one to forget: a
// flood of new ones must not cost a walk over all each time.
const evictSample = 32

// evict makes room: of some addresses, picked at random, it forgets those that
// owe nothing, or else the one that owes least. Who tries hardest is
// remembered longest.
func (l *loginLimiter) evict(now time.Time) {
	var least netip.Addr
	lowest := float64(loginBurst + 1)
	looked := 0
	for a, b := range l.buckets { // in random order
		if looked++; looked > evictSample {
			break
		}
		b.refill(now)
		if b.spent == 0 {
			delete(l.buckets, a)
			continue
		}
		if b.spent < lowest {
			least, lowest = a, b.spent
		}
	}
	if len(l.buckets) >= loginAddresses {
		delete(l.buckets, least)
	}
}

// limited is the address that a limit holds for: an IPv6 host commonly has a
// whole /64 to itself.
func limited(addr netip.Addr) netip.Addr {
	addr = addr.Unmap().WithZone("")
	if addr.Is6() {
		if p, err := addr.Prefix(64); err == nil {
			return p.Addr()
		}
	}
	return addr
}
