package encryptor

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
)

// Version 1's payload: the STREAM construction (Hoang, Reyhanitabar, Rogaway,
// Vizár, 2015) over AES-256-GCM.
const (
	chunkSize = 1 << 20
	tagSize   = 16
	nonceSize = 12
	maxIndex  = 1<<32 - 2 // of the last chunk there can be
)

// stream is what sealing and opening chunks have in common. Its methods may be
// called from several goroutines.
type stream struct {
	aead   cipher.AEAD
	header header
}

func newStream(h header, fileKey []byte) (stream, error) {
	block, err := aes.NewCipher(fileKey)
	if err != nil {
		return stream{}, err
	}
	aead, err := cipher.NewGCM(block)
	return stream{aead: aead, header: h}, err
}

// nonce tells a chunk's place in the file, and whether it is the last.
func (s stream) nonce(index uint64, last bool) (n [nonceSize]byte) {
	copy(n[:7], s.header.iv())
	binary.BigEndian.PutUint32(n[7:], uint32(index))
	if last {
		n[11] = 1
	}
	return n
}

// seal seals plain to dst, which may be plain[:0] with room for the tag.
func (s stream) seal(dst, plain []byte, index uint64, last bool) []byte {
	n := s.nonce(index, last)
	return s.aead.Seal(dst, n[:], plain, s.header.raw)
}

// open opens sealed to dst. If it fails, what was at dst is gone.
func (s stream) open(dst, sealed []byte, index uint64, last bool) ([]byte, error) {
	n := s.nonce(index, last)
	return s.aead.Open(dst, n[:], sealed, s.header.raw)
}
