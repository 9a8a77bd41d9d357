package v1

import "time"

// ClockState is the machine's clock as it is now.
type ClockState struct {
	Time         time.Time `json:"time" doc:"Now, in the machine's time zone."`
	Timezone     string    `json:"timezone"`
	Sync         bool      `json:"sync" doc:"Whether time servers are asked."`
	Synchronized bool      `json:"synchronized" doc:"Whether one of them has set the clock."`
	Server       string    `json:"server,omitempty" doc:"The time server that is asked."`
}

// ClockTime sets the clock by hand.
type ClockTime struct {
	Time time.Time `json:"time"`
}

// ServiceState is a service of the machine as it is now.
type ServiceState struct {
	Name     string   `json:"name"`
	Does     string   `json:"does" doc:"What it is for."`
	Units    []string `json:"units" doc:"systemd's names of what it is made of."`
	Enabled  bool     `json:"enabled" doc:"Whether it is started at boot."`
	State    string   `json:"state" doc:"active, inactive, failed, activating and so on; absent if this machine does not have it."`
	Why      string   `json:"why,omitempty" doc:"Why it failed or was not started."`
	Declared string   `json:"declared,omitempty" enum:"on,off" doc:"What the document says; nothing when it does not name the service."`
}
