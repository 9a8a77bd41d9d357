package storagefake

// more registers the programs that have a file of their own.
func (m *Machine) more() {
	for _, register := range []func(*Machine){
		serviceTools,
		remoteTools,
	} {
		register(m)
	}
}
