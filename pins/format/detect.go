package format

import "ctwatch/pins"

// Detect reads a file in whichever format it is in, by what it says rather than by
// its name. It fails with ErrUnknown if it looks like none, and with the format's
// own error if it looks like one and cannot be read.
func Detect(data []byte) (Format, pins.Rules, error) {
	return Format{}, nil, ErrUnknown
}
