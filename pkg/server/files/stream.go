package files

import (
	"fmt"
	"io"
	"io/fs"
	"slices"
)

// stream reads the parts of a file as one.
type stream struct {
	folder *Folder
	ref    Ref
	m      manifest
	starts []int64 // of each part in the file
	at     int64
	open   int // which part file is, from 0
	file   io.ReadSeekCloser
	err    error
}

func (f *Folder) stream(r Ref, m manifest) *stream {
	s := &stream{folder: f, ref: r, m: m, starts: make([]int64, len(m.Parts))}
	for i := 1; i < len(m.Parts); i++ {
		s.starts[i] = s.starts[i-1] + m.Parts[i-1].Size
	}
	return s
}

// whole says whether each part is there, and as large as it was.
func (f *Folder) whole(r Ref, m manifest) error {
	for i, p := range m.Parts {
		info, err := f.root.Stat(partPath(r, i+1, p.MD5))
		if err != nil {
			return err
		}
		if info.Size() != p.Size {
			return fmt.Errorf("part %d has %d bytes instead of %d", i+1, info.Size(), p.Size)
		}
	}
	return nil
}

// Read opens a part when its turn comes.
func (s *stream) Read(p []byte) (int, error) {
	if s.at >= s.m.Size {
		return 0, io.EOF
	}
	i, found := slices.BinarySearch(s.starts, s.at)
	if !found {
		i--
	}
	for s.m.Parts[i].Size == 0 || i+1 < len(s.starts) && s.starts[i+1] <= s.at {
		i++
	}
	if err := s.turn(i); err != nil {
		s.err = err
		return 0, err
	}
	left := s.starts[i] + s.m.Parts[i].Size - s.at
	n, err := s.file.Read(p[:min(int64(len(p)), left)])
	s.at += int64(n)
	if n > 0 {
		return n, nil
	}
	if err == nil || err == io.EOF {
		err = fmt.Errorf("part %d of %v is shorter than it was: %w", i+1, s.ref, io.ErrUnexpectedEOF)
	}
	s.err = err
	return 0, err
}

// turn opens a part at the stream's position, unless it is open.
func (s *stream) turn(i int) error {
	if s.file != nil && s.open == i {
		return nil
	}
	_ = s.Close()
	file, err := s.folder.root.Open(partPath(s.ref, i+1, s.m.Parts[i].MD5))
	if err != nil {
		return err
	}
	if _, err := file.Seek(s.at-s.starts[i], io.SeekStart); err != nil {
		_ = file.Close()
		return err
	}
	s.file, s.open = file, i
	return nil
}

// Seek only moves: the part is opened again.
func (s *stream) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += s.at
	case io.SeekEnd:
		offset += s.m.Size
	}
	if offset < 0 {
		return s.at, fs.ErrInvalid
	}
	if offset != s.at {
		_ = s.Close()
	}
	s.at = offset
	return offset, nil
}

func (s *stream) Close() error {
	if s.file == nil {
		return nil
	}
	err := s.file.Close()
	s.file = nil
	return err
}
