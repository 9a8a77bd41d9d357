package storagefake

// more registers the programs that have a file of their own.
func (m *Machine) more() {
	for _, register := range []func(*Machine){
		mkfsTools,
		mountTools,
		addDMSetup,
		serviceTools,
		remoteTools,
		multipathTools,
	} {
		register(m)
	}
}
