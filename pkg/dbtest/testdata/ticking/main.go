// Ticking waits for many timers, and prints how many ticks it saw, and the year.
package main

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

func main() {
	var ticks atomic.Int64
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			ticker := time.NewTicker(time.Millisecond)
			defer ticker.Stop()
			for range 200 {
				select {
				case <-ticker.C:
					ticks.Add(1)
				case <-time.After(time.Minute):
				}
			}
		})
	}
	all.Wait()
	fmt.Println(ticks.Load(), time.Now().Year())
}
