package systemd

// Events: the values of the field "event". Each has an entry in
// systemd/dbacked.catalog.
const (
	EventAgentReady           = "agent-ready"           // the configuration is valid and the status is served
	EventAgentStopping        = "agent-stopping"        // told to stop
	EventAgentFailed          = "agent-failed"          // ended, but not as it was told, nor by its configuration
	EventBackupStarted        = "backup-started"        //
	EventBackupProved         = "backup-proved"         // the only success there is
	EventBackupPartial        = "backup-partial"        // proved, but not in every place
	EventBackupFailed         = "backup-failed"         //
	EventBackupCancelled      = "backup-cancelled"      // since the agent stops
	EventLockHeld             = "lock-held"             // by another run of the instance
	EventWaiting              = "waiting"               // the store or the database is away
	EventRecovered            = "recovered"             // it is back
	EventConfigurationInvalid = "configuration-invalid" // the agent does not start
	EventPingFailed           = "ping-failed"           // the dead man's switch was not reached
	EventLeftoversRemoved     = "leftovers-removed"     // of a run that was killed
	EventPruneStopped         = "prune-stopped"         // older backups were not removed
)

// Event is a kind of log entry that has an explanation.
type Event struct {
	Name      string // the value of the field "event"
	MessageID string // MESSAGE_ID in the journal: never changes, never means anything else
}

// Events returns all events.
func Events() []Event {
	return []Event{
		{EventAgentReady, "ad34fca95d884f6a8b9417c6477d9978"},
		{EventAgentStopping, "c54f04e8e3f44add9eae5e7e49ad9a62"},
		{EventAgentFailed, "4f157e6715a34e64ad86097cfce4221c"},
		{EventBackupStarted, "a1b1652d638547b2b4a66c0a6d5082e4"},
		{EventBackupProved, "396244a0c35d4e0495099e4a449cfa32"},
		{EventBackupPartial, "b4f8a1c25d0e4f3b9a6d7e1c08f25b93"},
		{EventBackupFailed, "e1c746fc467646f88f6f1c16e31808aa"},
		{EventBackupCancelled, "eeac8c7abccc477486a3b7b11d874ef9"},
		{EventLockHeld, "6448525bd7dd4005a488e94f16ab4600"},
		{EventWaiting, "99ee8c833d324631b8e6e3520943a42d"},
		{EventRecovered, "2063f2db7e34461cb3b2bfa30ebe82cd"},
		{EventConfigurationInvalid, "1cc67c5a49374544856e2d8763937dea"},
		{EventPingFailed, "5510283313b946919373357b81b23b64"},
		{EventLeftoversRemoved, "0f061fa2e12b452ca337ccffb5151a9e"},
		{EventPruneStopped, "7c2b1f60e6d14b8fa3e05d94c1a7be32"},
	}
}

// MessageID returns the MESSAGE_ID of an event, empty when there is no such
// event.
func MessageID(event string) string {
	for _, e := range Events() {
		if e.Name == event {
			return e.MessageID
		}
	}
	return ""
}
