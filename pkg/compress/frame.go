package compress

import (
	"bufio"
	"io"
)

// oneFrame passes on exactly one zstd frame of r and then says io.EOF: the
// decoder would go on with whatever follows it. Only the lengths in it are
// looked at (RFC 8878, section 3.1); what they frame is the decoder's business.
type oneFrame struct {
	r        *bufio.Reader
	next     frameUnit
	left     int  // bytes of the current unit that were not yet passed on
	checksum bool // whether four bytes of checksum follow the last block
}

// frameUnit is a part of a frame.
type frameUnit int

const (
	frameHeader frameUnit = iota
	frameBlock
	frameChecksum
	frameEnd
)

func (f *oneFrame) Read(p []byte) (int, error) {
	for f.left == 0 {
		if f.next == frameEnd {
			return 0, io.EOF
		}
		if err := f.advance(); err != nil {
			if err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return 0, err
		}
	}
	n, err := f.r.Read(p[:min(len(p), f.left)])
	f.left -= n
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// advance sets left to the length of the next unit.
func (f *oneFrame) advance() error {
	switch f.next {
	case frameHeader:
		head, err := f.r.Peek(len(zstdMagic) + 1)
		if err != nil {
			return err
		}
		f.left, f.checksum = frameHeaderSize(head[len(zstdMagic)])
		f.next = frameBlock
	case frameBlock:
		head, err := f.r.Peek(3)
		if err != nil {
			return err
		}
		f.block(uint32(head[0]) | uint32(head[1])<<8 | uint32(head[2])<<16)
	case frameChecksum:
		f.left, f.next = 4, frameEnd
	}
	return nil
}

// block reads a block's header.
func (f *oneFrame) block(header uint32) {
	const repeated = 1 // one byte stands for all of the block
	f.left = 3 + int(header>>3)
	if header>>1&3 == repeated {
		f.left = 3 + 1
	}
	if header&1 == 0 {
		return
	}
	f.next = frameEnd
	if f.checksum {
		f.next = frameChecksum
	}
}

// frameHeaderSize is the length of a frame's header, magic included, and
// whether the frame ends with a checksum.
func frameHeaderSize(descriptor byte) (size int, checksum bool) {
	single := descriptor>>5&1 == 1
	size = len(zstdMagic) + 1 + []int{0, 1, 2, 4}[descriptor&3] + []int{0, 2, 4, 8}[descriptor>>6]
	switch {
	case !single:
		size++ // the window's descriptor
	case descriptor>>6 == 0:
		size++ // a single segment always has its size
	}
	return size, descriptor>>2&1 == 1
}
