package v1

// NVMeConnections are the NVMe hosts that are connected.
type NVMeConnections struct {
	Known       bool             `json:"known" doc:"Whether the kernel tells who is connected (Linux 6.11 and later, if built so). Without that there may be others than those listed."`
	Connections []NVMeConnection `json:"connections"`
}

// NVMeConnection is a controller: one host at one port of a subsystem.
type NVMeConnection struct {
	Subsystem  string `json:"subsystem" doc:"NQN of the subsystem."`
	Controller int    `json:"controller" doc:"Its number in the subsystem."`
	Host       string `json:"host" doc:"NQN of the host."`
	Address    string `json:"address,omitempty" doc:"Of the host, where the kernel tells it."`
	Port       string `json:"port" doc:"Name of the port, or its number if it is not declared."`
	State      string `json:"state"`
}
