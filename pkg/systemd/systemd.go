// Package systemd is what a daemon says to systemd, and gets from it: that it is
// ready, how it is, sockets, and a journal with fields. Outside systemd nothing
// of it fails: a [Notifier] says nothing, [Listeners] finds none, [ToJournal] is
// false.
//
//	n := systemd.NewNotifier(os.Environ())
//	listeners, err := systemd.Listeners()     // by the names of the descriptors
//	…
//	n.Ready()
//	defer n.Stopping()
//
// # Journal
//
// With a core of [NewJournalCore] each log line becomes an entry of the journal
// whose zap fields are fields of the journal, so that
//
//	journalctl -u dbacked@shop DBACKED_STAGE=dump
//	journalctl -o json DBACKED_BACKUP_ID=20261123T133123Z-49f70d
//
// find it. The field "event" also gives the entry a MESSAGE_ID (see [Events]),
// by which journalctl -x finds an explanation in the catalogue that is installed
// with the program.
package systemd
