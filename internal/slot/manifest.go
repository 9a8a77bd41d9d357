package slot

import (
	"bytes"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Manifest says what a slot is made of.
type Manifest struct {
	Format  int    `json:"format"`
	Version string `json:"version"` // of ESOS
	Built   int64  `json:"built"`   // Unix time; the build's SOURCE_DATE_EPOCH
	Kernel  string `json:"kernel"`  // release, as uname -r says it
	Parts   []Part `json:"parts"`   // by name
}

// Format is the only format of manifests that there is. A change that an older
// esos-init would misread takes the next number.
const Format = 1

// What a manifest may be. The bytes come from a stick that anybody may have
// written to; the limits stand before anything is allocated for them.
const (
	MaxManifest  = 1 << 20
	MaxParts     = 32
	maxText      = 128
	maxPartSize  = 16 << 30
	minChunkSize = 64 << 10
	maxChunkSize = 16 << 20
)

var (
	// ErrSignature says that no trusted key signed the manifest.
	ErrSignature = errors.New("no trusted key signed it")
	// ErrFormat says that the manifest is of a format this program does not know.
	ErrFormat = errors.New("unknown format")
)

// Sign checks the manifest, puts its parts in order and returns its bytes and
// their signature: what goes into ManifestFile and SignatureFile. The same
// manifest and key always give the same bytes.
func (m Manifest) Sign(key ed25519.PrivateKey) (data, sig []byte, err error) {
	m.Format = Format
	m.Parts = slices.SortedFunc(slices.Values(m.Parts), func(a, b Part) int { return strings.Compare(a.Name, b.Name) })
	if err := m.check(); err != nil {
		return nil, nil, fmt.Errorf("sign manifest: %w", err)
	}
	if len(key) != ed25519.PrivateKeySize {
		return nil, nil, fmt.Errorf("sign manifest: a private key of %d bytes, want %d", len(key), ed25519.PrivateKeySize)
	}
	data, err = json.MarshalIndent(m, "", "\t")
	if err != nil {
		return nil, nil, fmt.Errorf("sign manifest: %w", err)
	}
	data = append(data, '\n')
	if len(data) > MaxManifest {
		return nil, nil, fmt.Errorf("sign manifest: it has %d bytes, more than %d: use larger chunks", len(data), MaxManifest)
	}
	return data, ed25519.Sign(key, data), nil
}

// Open reads a manifest if one of the trusted keys signed it.
func Open(data, sig []byte, trusted []PublicKey) (Manifest, error) {
	m, err := open(data, sig, trusted)
	if err != nil {
		return Manifest{}, fmt.Errorf("open manifest: %w", err)
	}
	return m, nil
}

func open(data, sig []byte, trusted []PublicKey) (Manifest, error) {
	if len(data) > MaxManifest {
		return Manifest{}, fmt.Errorf("it has more than %d bytes", MaxManifest)
	}
	if len(trusted) == 0 {
		return Manifest{}, fmt.Errorf("%w: no key is trusted", ErrSignature)
	}
	if len(sig) != ed25519.SignatureSize {
		return Manifest{}, fmt.Errorf("%w: its signature has %d bytes, want %d", ErrSignature, len(sig), ed25519.SignatureSize)
	}
	if !slices.ContainsFunc(trusted, func(k PublicKey) bool { return ed25519.Verify(k.Key, data, sig) }) {
		return Manifest{}, fmt.Errorf("%w: it was changed, or made with a key other than %s", ErrSignature, names(trusted))
	}
	return decode(data)
}

// decode reads a manifest whose signature was checked.
func decode(data []byte) (Manifest, error) {
	// The number first: what else a later format has is not known here.
	var format struct {
		Format int `json:"format"`
	}
	if err := json.Unmarshal(data, &format); err != nil {
		return Manifest{}, err
	}
	if format.Format != Format {
		return Manifest{}, fmt.Errorf("%w %d: this program knows %d", ErrFormat, format.Format, Format)
	}
	var m Manifest
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&m); err != nil {
		return Manifest{}, err
	}
	if err := m.check(); err != nil {
		return Manifest{}, err
	}
	return m, nil
}

// Part returns the part of that name.
func (m Manifest) Part(name string) (Part, error) {
	for _, p := range m.Parts {
		if p.Name == name {
			return p, nil
		}
	}
	return Part{}, fmt.Errorf("the manifest of version %s has no %s", m.Version, name)
}

// BuiltAt is the time of the build.
func (m Manifest) BuiltAt() time.Time { return time.Unix(m.Built, 0).UTC() }

func (m Manifest) check() error {
	if m.Format != Format {
		return fmt.Errorf("%w %d", ErrFormat, m.Format)
	}
	if !isText(m.Version) {
		return fmt.Errorf("version %.40q: want 1 to %d printable characters without spaces", m.Version, maxText)
	}
	if !isText(m.Kernel) {
		return fmt.Errorf("kernel %.40q: want 1 to %d printable characters without spaces", m.Kernel, maxText)
	}
	if len(m.Parts) == 0 || len(m.Parts) > MaxParts {
		return fmt.Errorf("it has %d parts, want 1 to %d", len(m.Parts), MaxParts)
	}
	for i, p := range m.Parts {
		if err := p.check(); err != nil {
			return err
		}
		if i > 0 && m.Parts[i-1].Name >= p.Name {
			return fmt.Errorf("part %s comes twice, or out of order", p.Name)
		}
	}
	return nil
}

// isText tells whether s can be shown on a console and put into a file name's
// company without surprise.
func isText(s string) bool {
	return s != "" && len(s) <= maxText && !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' })
}

func names(keys []PublicKey) string {
	var list []string
	for _, k := range keys {
		list = append(list, k.String())
	}
	return strings.Join(list, ", ")
}
