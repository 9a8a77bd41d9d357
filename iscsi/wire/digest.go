package wire

import (
	"encoding/binary"
	"hash/crc32"
)

// DigestLength is the length of a header or data digest.
const DigestLength = 4

// castagnoli is the polynomial of RFC 7143 13.1 in the form that hash/crc32
// runs with the processor's own instruction. It is never written.
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// padding is what is put behind data. It is never written; on the stack it
// would escape to the heap with each digest.
var padding [3]byte

// Digest returns the CRC32C of p. p is a header with its additional segments,
// or a data segment with its padding.
func Digest(p []byte) uint32 { return crc32.Update(0, castagnoli, p) }

// UpdateDigest adds p to a digest: UpdateDigest(Digest(a), b) is the digest of
// a followed by b. The digest of nothing is 0.
func UpdateDigest(digest uint32, p []byte) uint32 { return crc32.Update(digest, castagnoli, p) }

// DataDigest returns the digest of data that still lacks its padding; padding
// is of zeros and counts (RFC 7143 11.2.3).
func DataDigest(data []byte) uint32 {
	return UpdateDigest(Digest(data), padding[:Padding(len(data))])
}

// PutDigest writes a digest to p in its order on the wire: the CRC's bits are
// reflected, and so its bytes go least significant first (RFC 7143 13.1).
func PutDigest(p []byte, digest uint32) { binary.LittleEndian.PutUint32(p, digest) }

// ReadDigest reads a digest that stands at the start of p.
func ReadDigest(p []byte) uint32 { return binary.LittleEndian.Uint32(p) }
