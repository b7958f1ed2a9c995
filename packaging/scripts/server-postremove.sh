#!/bin/sh
# After dbacked-server went away: dpkg says "remove" and later perhaps "purge", rpm 0.
# What is in /var/lib/dbacked-server, which is the backups, is never removed.
set -e

case "$1" in
remove | purge | 0)
	if [ -d /run/systemd/system ]; then
		systemctl daemon-reload || true
		systemctl reset-failed dbacked-server.service dbacked-server.socket 2>/dev/null || true
	fi
	;;
esac

if [ "$1" = purge ]; then
	# What "systemctl enable" made. The settings are a conffile, so dpkg's own to remove.
	rm -f /etc/systemd/system/multi-user.target.wants/dbacked-server.service \
		/etc/systemd/system/sockets.target.wants/dbacked-server.socket
	if [ -d /run/systemd/system ]; then
		systemctl daemon-reload || true
	fi
fi
