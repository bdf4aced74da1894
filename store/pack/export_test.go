package pack

// EventDictionary returns the dictionary of events.
func EventDictionary() []byte { return eventDictionary().Bytes() }

// CertificateDictionary returns the dictionary of certificates.
func CertificateDictionary() []byte { return certificateDictionary().Bytes() }
