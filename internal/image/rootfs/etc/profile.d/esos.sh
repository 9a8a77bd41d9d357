# The daemon's socket is root's, and so are the tools of an array.
PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"
if [ "$(id -u)" != 0 ] && [ -n "$PS1" ]; then
	alias esos='sudo esos'
fi
