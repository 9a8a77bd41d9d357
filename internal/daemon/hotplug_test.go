package daemon

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// TestHotPlug: events in crowds are answered once and soon; what is done
// causes events itself and does not keep the machine busy, and ends.
func TestHotPlug(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		events := make(chan struct{}, 1)
		began := time.Now()
		var at []time.Duration
		own := 0 // events that what is done causes, one each time
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			hotPlug().follow(ctx, events, func() {
				at = append(at, time.Since(began))
				if own > 0 {
					own--
					poke(events)
				}
			})
		}()
		expect := func(what string, want ...time.Duration) {
			t.Helper()
			synctest.Wait()
			if !slices.Equal(at, want) {
				t.Errorf("%s: %v, want %v", what, at, want)
			}
			began, at = time.Now(), nil
		}
		time.Sleep(time.Minute)
		expect("nothing happens")
		for range 4 {
			poke(events)
			time.Sleep(100 * time.Millisecond)
		}
		time.Sleep(time.Minute)
		expect("a crowd", 800*time.Millisecond)
		for range 400 { // for 40 s: at the longest, and then with a pause
			poke(events)
			time.Sleep(100 * time.Millisecond)
		}
		time.Sleep(time.Minute)
		expect("a flood", 3*time.Second, 13*time.Second, 23*time.Second, 33*time.Second, 43*time.Second)
		own = 2
		poke(events)
		time.Sleep(10 * time.Minute)
		expect("its own doing", 500*time.Millisecond, 10500*time.Millisecond, 20500*time.Millisecond)
		cancel()
		<-ended
	})
}
