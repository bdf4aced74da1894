package configs

import _ "embed"

// Example is a commented configuration file with every setting, for a newcomer to
// start from. It is valid as it is; a line that begins with "#" and then anything
// but one space is a setting that is valid as well once the "#" is removed.
//
//go:embed ctwatch.example.yaml
var Example []byte
