package v1

import "time"

// UnconfirmedNetwork is a change of the network that is undone unless somebody
// confirms it: whoever was cut off by it cannot.
type UnconfirmedNetwork struct {
	Revision int       `json:"revision" doc:"That the change made; 0 while it is carried out."`
	Who      string    `json:"who"`
	Why      string    `json:"why,omitempty"`
	Deadline time.Time `json:"deadline" doc:"When it is undone."`
}

// NetworkState is the machine's network as it is now.
type NetworkState struct {
	Interfaces  []Link              `json:"interfaces"`
	Unconfirmed *UnconfirmedNetwork `json:"unconfirmed,omitempty" doc:"The change that waits to be confirmed."`
}

// Link is a network interface as the kernel has it.
type Link struct {
	Name      string   `json:"name"`
	Kind      string   `json:"kind" doc:"ethernet, bond, vlan, bridge, or the kernel's word."`
	MAC       string   `json:"mac,omitempty"`
	MTU       int      `json:"mtu"`
	Up        bool     `json:"up" doc:"Switched on."`
	Carrier   bool     `json:"carrier" doc:"The cable is in, and the other side answers."`
	SpeedMbit int      `json:"speed_mbit,omitempty"`
	Master    string   `json:"master,omitempty" doc:"The bond or bridge that it is a member of."`
	Parent    string   `json:"parent,omitempty" doc:"What a VLAN is on."`
	VLANID    int      `json:"vlan_id,omitempty"`
	Addresses []string `json:"addresses" doc:"All but link-local ones."`
	Declared  bool     `json:"declared" doc:"Whether the document says how it is to be."`
}

// NetworkConfirmation confirms a change.
type NetworkConfirmation struct {
	Revision int `json:"revision,omitempty" minimum:"0" doc:"The revision whose change is meant; whichever waits when it is left out."`
}
