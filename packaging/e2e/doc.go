// Package e2e shows dbacked in a real Debian under a real systemd: tests that
// boot a machine, install the package by apt, and look at what an administrator
// would see.
//
//	make e2e
//	go test -tags e2e -v -run TestService/watchdog ./packaging/e2e
//
// They need root, and the packages debootstrap and systemd-container. The
// machine is a container of systemd-nspawn with a network of its own. Its tree
// is made once by debootstrap, in the folder that DBACKED_TEST_CACHE names or in
// the user's cache folder; each run works on an overlay of it, in memory, in a
// mount namespace of its own: so nothing is left mounted or running, however a
// run ends.
//
// DBACKED_E2E_IDLE=10m measures an idle agent for so long, instead of for a tick
// of its watchdog or two.
package e2e
