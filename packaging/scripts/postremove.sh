#!/bin/sh
# After dbacked went away: dpkg says "remove" and later perhaps "purge", rpm 0.
# Backups in /var/lib/dbacked and keys in /etc/dbacked are never removed.
set -e

case "$1" in
remove | purge | 0)
	if [ -d /run/systemd/system ]; then
		systemctl daemon-reload || true
		systemctl reset-failed 'dbacked*' || true
	fi
	if command -v journalctl >/dev/null; then
		journalctl --update-catalog || true
	fi
	;;
esac

if [ "$1" = purge ]; then
	# The settings, and what "systemctl enable" made of them.
	rm -f /etc/dbacked/*.env
	rm -f /etc/systemd/system/*.wants/dbacked@*.service \
		/etc/systemd/system/*.wants/dbacked-health@*.timer \
		/etc/systemd/system/*.wants/dbacked-verify@*.timer
	rmdir --ignore-fail-on-non-empty /etc/systemd/system/dbacked.target.wants /etc/dbacked 2>/dev/null || true
	if [ -d /run/systemd/system ]; then
		systemctl daemon-reload || true
	fi
fi
