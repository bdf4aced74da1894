//go:build !linux

package main

import (
	"errors"
	"testing"
)

func smallDisk(t *testing.T, _ string) string {
	t.Skip("a small disk is mounted on Linux only")
	return ""
}

func remount(string, string) error { return errors.ErrUnsupported }
