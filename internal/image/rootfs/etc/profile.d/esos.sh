# The tools of an array are root's. The daemon's socket is for those to whom its
# document gives a role; others become root first.
PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"
if [ "$(id -u)" != 0 ] && [ -n "$PS1" ] && ! [ -w /run/esos/api.sock ]; then
	alias esos='sudo esos'
fi
