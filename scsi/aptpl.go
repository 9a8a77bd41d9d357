package scsi

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/google/renameio/v2"
)

// ReservationStore keeps the persistent reservations of units over a restart
// (APTPL, SPC-5 5.14.5).
type ReservationStore interface {
	// Load returns what Save stored for a unit; nil and no error if nothing.
	Load(unit string) ([]byte, error)
	// Save returns when state is stable. Nil forgets the unit.
	Save(unit string, state []byte) error
}

// LoadReservations brings back the registrations and the reservation that the
// unit had with APTPL, and keeps those to come in store. It is called before
// the unit is mapped. Without it PERSISTENT RESERVE OUT refuses APTPL.
//
// If it returns an error the unit has no registrations: initiators that were
// kept out before the restart are not kept out now. Whoever calls it should
// not map the unit before a person has looked.
func (u *Unit) LoadReservations(store ReservationStore) error {
	u.reserving.Lock()
	defer u.reserving.Unlock()
	u.store = store
	state, err := store.Load(u.identity.Name)
	if err != nil {
		return fmt.Errorf("load the reservations of %s: %w", u.identity.Name, err)
	}
	if state == nil {
		return nil
	}
	r, err := decodeReservation(state)
	if err != nil {
		return fmt.Errorf("read the saved reservations of %s: %w", u.identity.Name, err)
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.pr = r
	u.regateAll()
	return nil
}

// saveReservation makes next stable if it is to survive a power loss, and
// forgets what old left if not.
func (u *Unit) saveReservation(old, next *reservation) error {
	switch {
	case u.store == nil, !old.aptpl && !next.aptpl:
		return nil
	case !next.aptpl, !next.inUse():
		return u.store.Save(u.identity.Name, nil)
	}
	state, err := next.encode()
	if err != nil {
		return err
	}
	return u.store.Save(u.identity.Name, state)
}

// savedReservation is the saved form of a reservation. PRGENERATION is not
// kept: it starts at 0 after a power loss (SPC-5 6.16.2).
type savedReservation struct {
	Type   reservationType `json:"type,omitempty"`
	Holder int             `json:"holder"` // index in Keys; -1 if nobody or all registrants hold it
	Keys   []savedKey      `json:"registrations"`
}

type savedKey struct {
	Initiator string `json:"initiator"`
	ISID      string `json:"isid"`
	Port      uint16 `json:"port"`
	Key       string `json:"key"`
}

// savedMagic starts the first line of a saved reservation; the SHA-256 of the
// rest ends it.
const savedMagic = "esos-reservation 1 sha256:"

func (r *reservation) encode() ([]byte, error) {
	s := savedReservation{Type: r.kind, Holder: -1, Keys: []savedKey{}}
	if r.kind != noReservation && !r.kind.allRegistrants() {
		s.Holder = r.find(r.holder)
	}
	for _, k := range r.keys {
		s.Keys = append(s.Keys, savedKey{k.nexus.initiator.Name, hex.EncodeToString(k.nexus.initiator.ISID[:]),
			k.nexus.port, strconv.FormatUint(k.key, 16)})
	}
	body, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("encode reservations: %w", err)
	}
	return checked(append(body, '\n')), nil
}

// checked puts the line with the checksum before body.
func checked(body []byte) []byte {
	sum := sha256.Sum256(body)
	return append([]byte(savedMagic+hex.EncodeToString(sum[:])+"\n"), body...)
}

var errDamaged = errors.New("it is damaged: its checksum does not fit")

// decodeReservation reads what encode wrote. It takes nothing that encode
// could not have written.
func decodeReservation(state []byte) (r reservation, err error) {
	first, body, _ := bytes.Cut(state, []byte("\n"))
	sum := sha256.Sum256(body)
	want, found := strings.CutPrefix(string(first), savedMagic)
	if !found || want != hex.EncodeToString(sum[:]) {
		return r, errDamaged
	}
	var s savedReservation
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(&s); err != nil {
		return r, fmt.Errorf("it is no reservation: %w", err)
	}
	r = reservation{kind: s.Type, aptpl: true}
	if len(s.Keys) > maxRegistrations {
		return reservation{}, fmt.Errorf("it has %d registrations, more than %d", len(s.Keys), maxRegistrations)
	}
	for _, k := range s.Keys {
		key, err := strconv.ParseUint(k.Key, 16, 64)
		isid, err2 := hex.DecodeString(k.ISID)
		if err != nil || err2 != nil || key == 0 || len(isid) != 6 || k.Initiator == "" || len(k.Initiator) > maxInitiatorName {
			return reservation{}, fmt.Errorf("the registration of %q cannot be read", k.Initiator)
		}
		n := nexusID{InitiatorID{Name: strings.ToLower(k.Initiator), ISID: [6]byte(isid)}, k.Port}
		if r.find(n) >= 0 {
			return reservation{}, fmt.Errorf("%q is registered twice", k.Initiator)
		}
		r.keys = append(r.keys, registration{n, key})
	}
	switch {
	case s.Type == noReservation && s.Holder == -1:
	case !s.Type.valid() || len(r.keys) == 0:
		return reservation{}, fmt.Errorf("a reservation of type %d with %d registrations cannot be", s.Type, len(r.keys))
	case s.Type.allRegistrants() && s.Holder == -1:
	case s.Type.allRegistrants() || s.Holder < 0 || s.Holder >= len(r.keys):
		return reservation{}, fmt.Errorf("holder %d cannot be", s.Holder)
	default:
		r.holder = r.keys[s.Holder].nexus
	}
	return r, nil
}

// maxSavedReservation bounds what is read back from a file.
const maxSavedReservation = 1 << 20

// ReservationFiles is a ReservationStore of one file a unit in a directory.
type ReservationFiles struct{ dir string }

// NewReservationFiles keeps reservations in dir, which has to be there.
func NewReservationFiles(dir string) *ReservationFiles { return &ReservationFiles{dir} }

// path is the file of a unit. PathEscape leaves no separator in the name, and
// the suffix makes "." and ".." plain names.
func (f *ReservationFiles) path(unit string) string {
	return filepath.Join(f.dir, url.PathEscape(unit)+".reservation")
}

// Load implements ReservationStore.
func (f *ReservationFiles) Load(unit string) ([]byte, error) {
	info, err := os.Stat(f.path(unit))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if info.Size() > maxSavedReservation {
		return nil, fmt.Errorf("%s is %d bytes long: too long to be ours", f.path(unit), info.Size())
	}
	return os.ReadFile(f.path(unit))
}

// Save implements ReservationStore: the state goes to a temporary file, which
// is made stable and takes the old one's place; then the directory is made
// stable too.
func (f *ReservationFiles) Save(unit string, state []byte) error {
	if state == nil {
		if err := os.Remove(f.path(unit)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	} else if err := renameio.WriteFile(f.path(unit), state, 0o600, renameio.WithTempDir(f.dir), renameio.WithStaticPermissions(0o600)); err != nil {
		return err
	}
	d, err := os.Open(f.dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
