package main

// exitMeaning is what an exit status tells, for the manual and the README.
type exitMeaning struct {
	status  int
	meaning string
}

// exitMeanings explains every exit status.
func exitMeanings() []exitMeaning {
	return []exitMeaning{
		{exitOK, "done"},
		{exitFailure, "what was asked for failed"},
		{exitUsage, "wrong flags or arguments"},
		{exitDamaged, "a backup is damaged, cut, or not for this key"},
		{exitNotFound, "no such backup, or no such table in it"},
		{exitRefused, "refused, in order not to lose data"},
		{exitPartial, "a backup was made and proved, but not in every place"},
		{exitAgain, "another run of this instance holds the lock; a dump that gave way to others; or an agent that was told to end after its run"},
		{exitOrigin, "a backup's origin is not proved"},
		{exitConfig, "the configuration is wrong or incomplete"},
		{exitInterrupted, "interrupted"},
	}
}
