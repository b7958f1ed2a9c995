package localdir

import "sync"

// coverage knows whether the parts written so far leave a hole. Its size grows
// with the parts that are ahead of the first hole, not with the object.
type coverage struct {
	mu    sync.Mutex
	end   int64           // all before it is written
	ahead map[int64]int64 // offset to length of parts after a hole
}

func (c *coverage) add(offset, n int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if offset > c.end {
		if c.ahead == nil {
			c.ahead = make(map[int64]int64)
		}
		c.ahead[offset] = max(n, c.ahead[offset])
		return
	}
	c.end = max(c.end, offset+n)
	for n, ok := c.ahead[c.end]; ok; n, ok = c.ahead[c.end] {
		delete(c.ahead, c.end)
		c.end += n
	}
}

// whole reports whether there is no hole, and else where the first one is.
func (c *coverage) whole() (int64, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.end, len(c.ahead) == 0
}
