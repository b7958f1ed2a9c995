// Package alerts tells people what is wrong with their backups, once, and once more
// when it is over.
//
//	r := alerts.New(store, alerts.Options{SMTP: smtp, Log: log})
//	err := r.Run(ctx)
//
// # What is told
//
//	failed        the backup that ended last failed. More failures are no more alerts:
//	              it is over when one is done
//	late          it is 30 minutes since one was due, and none was done, nor was one
//	              begun in that time and is still being made
//	silent        no agent spoke for an hour, of a project that has had one: none asked,
//	              and none that makes a backup said how far it is
//	key-mismatch  the last backup is for another key than the project's
//	odd-size      the last backup has less than half of, or more than twice, the median
//	              size of the ten before it (there must be four)
//
// A project whose agents' keys are all revoked, or that has no schedule, is not
// missed. When the service itself was away, nothing is called late or silent until
// it has been there for as long.
//
// # Whom
//
// Targets, of one project or of all: addresses of mail, a webhook, or a service that
// shoutrrr knows (https://shoutrrr.nickfedor.com). They are told of what begins after
// they were added, and of the end of what they were told.
//
// A webhook is sent a POST of JSON, see [Webhook]. Any status of 2xx takes it; a
// redirection is not followed.
//
// # How often
//
// Any number of replicas may run this on one database. They take turns, and what a
// replica finds in its turn counts only until the next one begins, so an alert is
// opened once. Each delivery is claimed by one replica, and noted when it was made.
// Only a replica that dies, or loses the database, after a target took a message and
// before that is noted, leaves it to be sent again, after two minutes. The id and the
// state of a webhook, and the Message-ID of a mail, are the same then.
//
// What a target does not take is tried again after a minute, two, four, up to half
// an hour; after 20 tries, which is about 8 hours, or a day, it is given up, which is
// logged. A target that took nothing is not asked by any other alert for a minute.
package alerts

// Kinds of alerts.
const (
	KindFailed  = "failed"
	KindLate    = "late"
	KindSilent  = "silent"
	KindKey     = "key-mismatch"
	KindOddSize = "odd-size"

	// KindTest is of a message that somebody asked for, to see it arrive.
	KindTest = "test"
)
