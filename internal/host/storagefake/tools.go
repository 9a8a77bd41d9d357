package storagefake

// more registers the programs that have a file of their own.
func (m *Machine) more() {
	for _, register := range []func(*Machine){
		registerMdadm,
		mkfsTools,
		mountTools,
		addDMSetup,
		(*Machine).lvm,
		luksTools,
		serviceTools,
		remoteTools,
		multipathTools,
	} {
		register(m)
	}
}
