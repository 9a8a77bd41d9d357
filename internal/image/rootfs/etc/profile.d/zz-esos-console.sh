# Shows the text console (esos tui) to administrators when they log in at a screen, on a serial line or over SSH: docs/console.md. What is no login of a
# person (ssh array COMMAND, scp, scripts) never comes here: there is no prompt or
# no terminal. /etc/esos/no-login-tui and ~/.no-login-tui keep it off.
esos_console() {
	case $- in *i*) ;; *) return 1 ;; esac
	[ -t 0 ] && [ -t 1 ] || return 1
	[ -z "$ESOS_CONSOLE$SSH_ORIGINAL_COMMAND" ] || return 1
	[ "${TERM:-dumb}" != dumb ] || return 1
	[ ! -e "${ESOS_ETC:-/etc/esos}/no-login-tui" ] && [ ! -e "$HOME/.no-login-tui" ] || return 1
	[ "$(id -u)" = 0 ] || id -Gn | grep -qw sudo || return 1
	command -v esos >/dev/null 2>&1
}
if esos_console; then
	# Without a role in the document only root speaks to the daemon.
	if [ "$(id -u)" = 0 ] || [ -w "${ESOS_SOCKET:-/run/esos/api.sock}" ]; then
		command esos tui
	else
		echo 'The console of this array needs the rights of root: your password, once more.'
		command sudo esos tui
	fi
	esos_code=$?
	[ "$esos_code" != 0 ] || exit 0
	echo "The console ended with code $esos_code. This is a shell; 'esos tui' shows the console, 'exit' logs out."
	unset esos_code
fi
unset -f esos_console
