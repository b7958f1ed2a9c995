package main

import (
	"fmt"
	"runtime"
)

type versionCommand struct{}

func (*versionCommand) Run(a *app) error {
	fmt.Fprintf(a.out, "dbacked %s (%s, %s/%s)\n", version, runtime.Version(), runtime.GOOS, runtime.GOARCH)
	return nil
}
