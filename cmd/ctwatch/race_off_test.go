//go:build !race

package main

// raceEnabled says that the race detector watches, which takes time.
const raceEnabled = false
