//go:build e2e

package e2e

import "testing"

func TestBoot(t *testing.T) {
	m := boot(t)
	t.Log(m.run(t, "systemctl", "list-units", "--failed"))
	t.Log(m.run(t, "ip", "addr"))
	t.Log(m.postgres(t, "postgres", "select version()"), m.mariadb(t, "select version()"))
	t.Log(m.sudo(t, "id"))
	m.reboot(t)
	t.Log(m.run(t, "systemctl", "list-units", "--failed"))
}
