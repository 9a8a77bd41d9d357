package appliance

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/esos-project/esos/internal/plan"
)

// ErrNoOperation is wrapped when there is no operation of an ID.
var ErrNoOperation = errors.New("no such operation")

// keepOperations is how many finished operations are remembered.
const keepOperations = 100

// States of an operation.
const (
	Planned = "planned" // a dry run
	Running = "running"
	Done    = "done"
	Failed  = "failed"
)

// Operation is a change that is carried out, or was. Its methods may be called
// at the same time.
type Operation struct {
	ID      string
	Who     string
	Why     string
	Started time.Time
	Plan    *plan.Plan // what it does; not to be changed

	cancel context.CancelFunc
	ended  chan struct{}

	mu       sync.Mutex
	progress Progress
	version  uint64
	err      error
}

// Progress is how far an operation is.
type Progress struct {
	State    string         `json:"state"`
	Ended    time.Time      `json:"ended,omitzero"`
	Steps    []StepProgress `json:"steps"` // as in the plan
	Done     int            `json:"done"`  // steps that are done
	Changed  bool           `json:"changed"`
	Revision Revision       `json:"revision"` // in force when it ended
	Error    string         `json:"error,omitempty"`
	Problems []plan.Note    `json:"problems,omitempty"` // what else could not be served
}

// StepProgress is how far a step is.
type StepProgress struct {
	State    plan.State `json:"state"`
	Fraction float64    `json:"fraction,omitempty"` // 0 to 1
	Error    string     `json:"error,omitempty"`
}

// Progress returns how far the operation is.
func (o *Operation) Progress() Progress {
	o.mu.Lock()
	defer o.mu.Unlock()
	p := o.progress
	p.Steps = append([]StepProgress(nil), p.Steps...)
	return p
}

// Version differs whenever the operation got on.
func (o *Operation) Version() uint64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.version
}

// Wait waits for the operation's end and returns why it failed.
func (o *Operation) Wait(ctx context.Context) error {
	select {
	case <-o.ended:
		o.mu.Lock()
		defer o.mu.Unlock()
		return o.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Ended is closed when the operation has ended.
func (o *Operation) Ended() <-chan struct{} { return o.ended }

// Cancel ends the operation; what it did is undone.
func (o *Operation) Cancel() { o.cancel() }

func (o *Operation) running() bool {
	select {
	case <-o.ended:
		return false
	default:
		return true
	}
}

func (o *Operation) observe(i int, s plan.State, fraction float64, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.version++
	step := &o.progress.Steps[i]
	if s == plan.Done && step.State != plan.Done {
		o.progress.Done++
	}
	if s == plan.Undone {
		o.progress.Done--
	}
	step.State, step.Fraction = s, fraction
	if err != nil {
		step.Error = err.Error()
	}
}

// end notes the outcome. It is called once.
func (o *Operation) end(rev Revision, changed bool, problems []plan.Note, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.version++
	p := &o.progress
	p.State, p.Ended, p.Revision, p.Changed, p.Problems = Done, time.Now(), rev, changed, problems
	if err != nil {
		p.State, p.Error, o.err = Failed, err.Error(), err
	}
	close(o.ended)
}

// newOperation makes an operation and remembers it.
func (a *Appliance) newOperation(c Change, p *plan.Plan) *Operation {
	o := &Operation{Who: c.Who, Why: c.Why, Started: time.Now(), Plan: p, cancel: func() {}, ended: make(chan struct{})}
	o.progress = Progress{State: Running, Steps: make([]StepProgress, len(p.Steps))}
	for i := range o.progress.Steps {
		o.progress.Steps[i].State = plan.Waiting
	}
	if c.DryRun {
		o.progress.State = Planned
		close(o.ended)
		return o
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.nextOp++
	o.ID = strconv.Itoa(a.nextOp)
	a.operations = append(a.operations, o)
	if over := len(a.operations) - keepOperations; over > 0 {
		a.operations = append([]*Operation(nil), a.operations[over:]...)
	}
	return o
}

// Operation returns an operation that is running or ended lately.
func (a *Appliance) Operation(id string) (*Operation, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, o := range a.operations {
		if o.ID == id {
			return o, nil
		}
	}
	return nil, fmt.Errorf("operation %q: %w (the last %d are remembered)", id, ErrNoOperation, keepOperations)
}

// Operations returns the operations that are remembered, newest first.
func (a *Appliance) Operations() []*Operation {
	a.mu.Lock()
	defer a.mu.Unlock()
	list := make([]*Operation, 0, len(a.operations))
	for i := len(a.operations) - 1; i >= 0; i-- {
		list = append(list, a.operations[i])
	}
	return list
}
