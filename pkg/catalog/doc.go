// Package catalog knows which backups exist.
//
// A backup is a folder of encrypted files and a manifest:
//
//	NAME/20261122T215643Z-7f3c2a/0000.dbacked
//	NAME/20261122T215643Z-7f3c2a/manifest
//
// A file too large for one object of the store goes on in the next, which says
// so ([File.Continues]). A dump that was made in several streams at once, all of
// one snapshot, is split: one file has the schema and others the data
// ([LayoutSplit]). Which table is where is not for all to read, so no manifest
// says it: a file does that is encrypted as they are ([KindContents]).
//
// The manifest is written last, and only if it is absent: a backup without one
// never happened. It is a signed note (C2SP signed-note,
// golang.org/x/mod/sumdb/note) whose text is JSON, readable without any key and
// signed with the Ed25519 key of the instance that made the backup.
//
// A file alone proves only that somebody had the public key, and what a backup
// holds is run as SQL when it is restored. So who reads a manifest pins the
// verifier keys that he trusts ([Trust]), and every [Entry] says whether its
// origin is proved. What no signature can exclude is an older set of backups
// shown again: [ReadLast] remembers the newest id that this host has seen.
//
// In a store that keeps older versions of what was overwritten or removed, a
// manifest that is no good one any more is looked for among those, and the entry
// says so ([Entry.Displaced]). A manifest is written once: the oldest version that
// is proved is the one.
//
// Which backups stay is a [Policy] of package retention. [Survey] reads what there is, [Plan], a pure
// function, decides and gives a reason for each, and [Prune] carries it out, all
// under the instance's lock:
//
//	backups, err := catalog.Survey(ctx, store, "shop", trust)
//	plan := catalog.Plan(time.Now(), backups, catalog.Policy{Daily: 7, Weekly: 4, Minimum: 24 * time.Hour})
//	done, err := catalog.Prune(ctx, store, "shop", plan, false)
//
// Readers of layout version 1 ignore fields that they do not know: later
// versions of dbacked may add some, and raise the version when ignoring them
// would be wrong.
package catalog
