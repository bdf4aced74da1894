//go:build !linux

package main

import (
	"errors"
	"testing"
)

func withOwnMounts(t *testing.T) bool {
	t.Skip("a small disk is mounted on Linux only")
	return false
}

func smallDisk(*testing.T, string) string { return "" }

func remount(string, string) error { return errors.ErrUnsupported }
