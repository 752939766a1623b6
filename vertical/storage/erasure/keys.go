package erasure

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
)

// Derivation labels of HKDF-SHA256 (RFC 5869), used as the info prefix.
const (
	labelContent = "grange/segment/content/v1"
	labelSeal    = "grange/segment/seal/v1"
	labelShard   = "grange/segment/shard/v1"
)

// ContentKey is the owner's key for reading: it derives each segment's block key.
type ContentKey [32]byte

// SealKey is the owner's key for making shards independent. It derives each
// segment's seal and gives no access to content.
type SealKey [32]byte

// SegmentSeal seals and unseals the shards of one segment. It is what a repair
// agent is given, per segment.
type SegmentSeal [32]byte

// Keys is what the owner holds.
type Keys struct {
	Content ContentKey
	Seal    SealKey
}

// ForSegment derives the seal of one segment.
func (k SealKey) ForSegment(id ID) SegmentSeal {
	return SegmentSeal(derive(k[:], labelSeal, id[:]))
}

// shard returns the keystream of one sealed shard. The key is used for that one
// stream only, so the counter starts at zero.
func (k SegmentSeal) shard(j int) cipher.Block {
	key := derive(k[:], labelShard, []byte{byte(j)})
	b, err := aes.NewCipher(key[:])
	if err != nil {
		panic(fmt.Sprintf("open AES with %d key bytes: %v", len(key), err))
	}
	return b
}

// blocks returns the AEAD of the segment's blocks. Size and K take part in the
// derivation because they decide where blocks are cut: one nonce never meets two
// cuts of the same plaintext, and a wrong recorded size opens nothing.
func (k ContentKey) blocks(s Segment) cipher.AEAD {
	info := binary.BigEndian.AppendUint64(append([]byte{}, s.ID[:]...), uint64(s.Size))
	key := derive(k[:], labelContent, append(info, s.Layout.K))
	b, err := aes.NewCipher(key[:])
	if err != nil {
		panic(fmt.Sprintf("open AES with %d key bytes: %v", len(key), err))
	}
	g, err := cipher.NewGCM(b)
	if err != nil {
		panic(fmt.Sprintf("open GCM: %v", err))
	}
	return g
}

// keystream returns the shard's stream from byte off on; off is a multiple of the
// AES block size because every stripe unit is.
func keystream(b cipher.Block, off int64) cipher.Stream {
	var iv [aes.BlockSize]byte
	binary.BigEndian.PutUint64(iv[8:], uint64(off)/aes.BlockSize)
	return cipher.NewCTR(b, iv[:])
}

func nonce(block int) []byte {
	var n [12]byte
	binary.BigEndian.PutUint64(n[4:], uint64(block))
	return n[:]
}

func derive(secret []byte, label string, info []byte) (key [32]byte) {
	b, err := hkdf.Key(sha256.New, secret, nil, label+string(info), len(key))
	if err != nil {
		panic(fmt.Sprintf("derive %s: %v", label, err))
	}
	copy(key[:], b)
	return key
}
