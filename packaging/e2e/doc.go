// Package e2e shows dbacked in a real Debian under a real systemd: tests that
// boot a machine, install the package by apt, and look at what an administrator
// would see.
//
//	make e2e
//	go test -tags e2e -v -run TestService/watchdog ./packaging/e2e
//
// They need root, the packages debootstrap, systemd-container and postgresql, and,
// once, the Go module proxy for versitygw. The machine is a container of
// systemd-nspawn with a network of its own. Its tree is made once by debootstrap, in
// the folder that DBACKED_TEST_CACHE names or in the user's cache folder; each run
// works on an overlay of it, in memory, in a mount namespace of its own: so nothing
// is left mounted or running, however a run ends.
//
// A service of S3 (versitygw, behind proxies that enforce the documented policies)
// runs on this side, as on somebody else's machine: of it the machine sees nothing
// but ports, on which this process listens in the machine's network. There the instance "vault" may only write, under object lock, and "both"
// writes to a folder as well. Root of the machine then tries to overwrite, to delete
// and to forge, with what he finds there; and the backups are restored on this side,
// into a PostgreSQL of its own, with a credential that may only read.
//
// This project's service, dbacked-server, runs on the machine, built with a clock that
// the tests set. A second machine, the twin, has agents of the same projects: what it
// calls is carried into the network of the first by this process, which can hold calls
// so that two agents ask at the same moment. DBACKED_E2E_DUES=50 lets them do so at
// 50 due times, instead of at 6.
//
// DBACKED_E2E_IDLE=10m measures an idle agent for so long, instead of for a tick
// of its watchdog or two.
package e2e
