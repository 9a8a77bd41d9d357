package power

import (
	"fmt"
	"math"
)

// Attempt is a change that was made, and what was said about it. Changes are
// made one after the other; each carries the number of its state.
type Attempt struct {
	State int
	Began int64 // size of the log when it was asked for
	Done  int64 // size of the log when it was acknowledged; never if it was not
}

const never = math.MaxInt64

// Promise is what holds of an appliance's state at every moment.
type Promise []Attempt

// Bounds are the states that there may be after a power cut, given how much of
// the log was written then: the last that was acknowledged, and the last that
// was asked for. The log of an acknowledgement is longer than what led to it,
// so that what it leads to is never asked for too early.
func (p Promise) Bounds(position int64) (least, most int) {
	for _, a := range p {
		if a.Done <= position {
			least = max(least, a.State)
		}
		if a.Began < position {
			most = max(most, a.State)
		}
	}
	return least, most
}

// Check says what is wrong with a state that was found after a power cut.
func (p Promise) Check(position int64, found int) error {
	switch least, most := p.Bounds(position); {
	case found < least:
		return fmt.Errorf("state %d came back, and state %d had been acknowledged", found, least)
	case found > most:
		return fmt.Errorf("state %d came back, and only state %d had been asked for: the test is wrong about what it does", found, most)
	}
	return nil
}
