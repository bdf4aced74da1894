package setup

import (
	"runtime"
	"runtime/debug"
)

// A Version says what was built. Version and Commit are "unknown" in a build outside of
// version control.
type Version struct {
	Version string `json:"version"`
	Commit  string `json:"commit"`
	Go      string `json:"go"`
}

// BuildVersion returns the version of this program.
func BuildVersion() Version {
	v := Version{"unknown", "unknown", runtime.Version()}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return v
	}
	if info.Main.Version != "" {
		v.Version = info.Main.Version
	}
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision":
			v.Commit = s.Value
		case s.Key == "vcs.modified" && s.Value == "true":
			v.Commit += " with changes"
		}
	}
	return v
}
