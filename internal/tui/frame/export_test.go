package frame

import v1 "github.com/esos-project/esos/internal/api/v1"

// ShowProgress shows how far an operation is that stands still.
func (d *Desk) ShowProgress(title string, op v1.Operation) {
	d.Push(&progress{desk: d, title: title, op: op, stop: func() {}})
}
