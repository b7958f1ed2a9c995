package encryptor

import "sync"

// failure is the first error of a Writer, known to all of its goroutines.
type failure struct {
	once sync.Once
	done chan struct{} // closed once err is set
	err  error
}

func (f *failure) set(err error) {
	f.once.Do(func() {
		f.err = err
		close(f.done)
	})
}

func (f *failure) get() error {
	select {
	case <-f.done:
		return f.err
	default:
		return nil
	}
}
