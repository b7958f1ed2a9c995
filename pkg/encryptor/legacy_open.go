package encryptor

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"fmt"
	"io"
)

// cbcOpener reads version 0's payload. Nothing in it is authenticated.
type cbcOpener struct {
	mode   cipher.BlockMode
	blocks blocks
	ended  bool
}

func newCBCOpener(r io.Reader, h header, fileKey []byte) (*cbcOpener, error) {
	block, err := aes.NewCipher(fileKey)
	if err != nil {
		return nil, err
	}
	return &cbcOpener{
		mode:   cipher.NewCBCDecrypter(block, h.iv()),
		blocks: newBlocks(r, cbcBufferSize),
	}, nil
}

func (o *cbcOpener) next() ([]byte, error) {
	if o.ended {
		return nil, io.EOF
	}
	p, last, err := o.blocks.next()
	if err != nil {
		return nil, err
	}
	if len(p) == 0 || len(p)%aes.BlockSize != 0 {
		return nil, fmt.Errorf("%w: the file ends inside a block of the cipher", ErrTruncated)
	}
	o.mode.CryptBlocks(p, p)
	o.ended = last
	if !last {
		return p, nil
	}
	return unpad(p)
}

// unpad removes PKCS#7 padding.
func unpad(p []byte) ([]byte, error) {
	pad := int(p[len(p)-1])
	if pad < 1 || pad > aes.BlockSize || pad > len(p) {
		return nil, errPadding
	}
	plain, padding := p[:len(p)-pad], p[len(p)-pad:]
	if !bytes.Equal(padding, bytes.Repeat([]byte{byte(pad)}, pad)) {
		return nil, errPadding
	}
	return plain, nil
}

// errPadding is all that this format can say of a changed or cut file.
var errPadding = fmt.Errorf("%w: the padding at its end is wrong, so the file was changed or cut at a block's end", ErrDamaged)
