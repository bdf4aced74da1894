//go:build !linux

package main

import "os/exec"

func endWithParent() {}

func endWithUs(*exec.Cmd) {}
