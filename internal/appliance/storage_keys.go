package appliance

import (
	"slices"
	"sync"
	"time"
)

// storageKeys are keys of encrypted devices that are in memory only: what
// somebody typed, until it was used, and recovery keys, until they were shown.
type storageKeys struct {
	now func() time.Time

	mu    sync.Mutex
	typed map[string]typedKey
	shown map[string][]byte
}

type typedKey struct {
	key     []byte
	mayMake bool // it may make what is not there yet
	until   time.Time
}

// keyTime is how long a passphrase is held that nothing has used: for a
// document that declares what it is for, say.
const keyTime = 10 * time.Minute

func newStorageKeys(now func() time.Time) *storageKeys {
	return &storageKeys{now: now, typed: map[string]typedKey{}, shown: map[string][]byte{}}
}

// put holds a passphrase, in place of one that was typed before.
func (k *storageKeys) put(name string, key []byte, mayMake bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	clear(k.typed[name].key)
	k.typed[name] = typedKey{slices.Clone(key), mayMake, k.now().Add(keyTime)}
	time.AfterFunc(keyTime+time.Second, k.expire)
}

// expire drops what nobody has used.
func (k *storageKeys) expire() {
	k.mu.Lock()
	defer k.mu.Unlock()
	for name, t := range k.typed {
		if k.now().After(t.until) {
			clear(t.key)
			delete(k.typed, name)
		}
	}
}

// Typed implements encrypted.Keys.
func (k *storageKeys) Typed(name string) (key []byte, mayMake bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	t, ok := k.typed[name]
	if !ok || k.now().After(t.until) {
		return nil, false
	}
	return slices.Clone(t.key), t.mayMake
}

// Forget implements encrypted.Keys.
func (k *storageKeys) Forget(name string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	clear(k.typed[name].key)
	delete(k.typed, name)
}

// Show implements encrypted.Keys.
func (k *storageKeys) Show(name, key string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.shown[name] = []byte(key)
}

// peek returns a recovery key that was not shown yet, "" if there is none.
func (k *storageKeys) peek(name string) string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return string(k.shown[name])
}

// seen drops a recovery key that was shown.
func (k *storageKeys) seen(name string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	clear(k.shown[name])
	delete(k.shown, name)
}
