package pins

import "time"

// A Finding is one problem with, or one note about, an app, a host, a key or a
// file: data for programs to act on. Package words turns it into sentences, commands and
// buttons. Fields that do not concern its code are zero.
type Finding struct {
	Code     Code
	App      string
	Host     Pattern  // as the app has it; zero if the file or the app as a whole is concerned
	Names    []string // hosts at which it was found: Host itself, or ones below it
	Address  string   // of the endpoint
	Versions []string // of the app, newest first
	Place    string   // in the file: "line:column"

	Role        Role          // that the app pins
	At          Position      // where the client looks for the pins
	Pin         Pin           // of the key concerned; zero if the key is not known
	Pins        []Pin         // that are wanted, or that it is about
	State       State         // of the key
	Scope       []Pattern     // that the key is approved for
	Certificate string        // ID, in hex
	From        time.Time     // of a certificate, a change or a probe
	Until       time.Time     // the end of a certificate, of pins or of a need
	Past        bool          // Until has passed
	Lead        time.Duration // of the app
	Algorithm   string        // of the key
	Algorithms  []string      // that the client can hash
	Have, Want  int           // how many there are, and how many the app needs
	Root        string        // that the chain ends at
	Open        bool          // the chain is known only as far as the server, or the file, has it
	Detail      string        // text from elsewhere, such as a format's explanation with a line

	Because []Finding
	Do      []Action
}

// A Code is what was found.
type Code string

// What plans find of a host, or of a supported version of an app there.
const (
	Accepted            Code = "accepted"              // every version accepts what is served, with Want pins
	VersionUnreadable   Code = "version_unreadable"    // what was imported for a version cannot be read: Detail
	NoVersion           Code = "no_version"            // no released version is recorded
	NotPinned           Code = "not_pinned"            // no version pins the host
	ProbingOff          Code = "probing_off"           // the configuration turns probing of the host off
	NotReached          Code = "not_reached"           // no connection to the host has succeeded
	NoKnownHost         Code = "no_known_host"         // no host of the pattern is known
	NoBackupPin         Code = "no_backup_pin"         // a version has no backup pin: Because says why the others do not count
	SinglePin           Code = "single_pin"            // a version has one pin, and what is served is not known
	PinsEnd             Code = "pins_end"              // the pins of a version end soon, or ended
	CertificateEnds     Code = "certificate_ends"      // the served certificate ends soon, and has no successor
	ComingRefused       Code = "coming_refused"        // versions refuse a certificate that may be deployed next
	ServedRefused       Code = "served_refused"        // versions refuse what is served
	ServedCompromised   Code = "served_compromised"    // a compromised key is served
	ServedRejected      Code = "served_rejected"       // a rejected certificate, or its key, is served
	ShippedCompromised  Code = "shipped_compromised"   // versions accept a compromised key
	PinsUnusable        Code = "pins_unusable"         // the client of a version can use none of its pins: Because
	VersionsUnpinned    Code = "versions_unpinned"     // versions that do not pin the host
	KeyToShip           Code = "key_to_ship"           // an approved key that the newest version lacks
	KeepWhileUnapproved Code = "keep_while_unapproved" // the pin stays while an unapproved key is served
	KeepForRollback     Code = "keep_for_rollback"     // the pin stays until Until; its key was served until From
	LastProbed          Code = "last_probed"           // probing is off, and From was the last probe
	DocumentWithheld    Code = "document_withheld"     // signed documents have no new pins of the host: Because
	DocumentReduced     Code = "document_reduced"      // signed documents have the pins that are left: Because
)

// Why no pin set is made for a host. Signed documents say these, so apps may rely on them.
const (
	KeysDiffer     Code = "keys_differ"             // hosts of one pattern serve different keys
	NotApproved    Code = "served_key_not_approved" // a key that is served is not approved
	ChainNotKnown  Code = "chain_not_known"         // the issuer's key of what is served is not known
	KeyCompromised Code = "served_key_compromised"  // a key that is served is compromised
	NoKey          Code = "no_approved_key"         // no key is approved
	BelowMinPins   Code = "below_min_pins"          // there are fewer keys than the app's min_pins
	NoBackupKey    Code = "no_backup"               // all keys are in the chains that are served
	NotProbed      Code = "not_probed"              // what is served is not known
)

// Why a key is not trusted, or a pin is no backup.
const (
	KeyImpossible Code = "key_impossible"  // no key can have the pin: Detail says what it is
	KeyUndeclared Code = "key_undeclared"  // it was neither seen nor declared
	KeyUnapproved Code = "key_unapproved"  // it was seen, and nobody has approved it
	KeyOtherHosts Code = "key_other_hosts" // it is approved, but not for the host
	KeyOtherRole  Code = "key_other_role"  // it is known in the other role only
	KeyOutOfUse   Code = "key_out_of_use"  // its State is retiring, retired or compromised
	KeyRejected   Code = "key_rejected"    // a certificate for it was rejected
	KeyUnusable   Code = "key_unusable"    // the client cannot use it
	KeysWaiting   Code = "keys_waiting"    // certificates were issued for keys that nobody has approved
)

// Why a client cannot use a pin.
const (
	PinMisplaced     Code = "pin_misplaced"     // the client never looks for a key of this role there
	KeyUnhashable    Code = "key_unhashable"    // the client crashes at a key of this algorithm
	AlgorithmUnknown Code = "algorithm_unknown" // it may be one that the client crashes at
)

// What the deployment gate finds of a certificate, and of the chains to it.
const (
	ChainRefused     Code = "chain_refused"     // no pin of a version matches the chain
	ChainCrashes     Code = "chain_crashes"     // the client crashes at a key of the chain
	ChainIncomplete  Code = "chain_incomplete"  // no root verifies it: Detail
	IssuerNotSent    Code = "issuer_not_sent"   // the pinned issuer is in the chain, but not sent
	CertificateEnded Code = "certificate_ended" // before now
	NoHostConcerned  Code = "no_host_concerned" // no name of the certificate is a host of the apps in Names
	NoDatabase       Code = "no_database"       // only the configuration is known
)

// What the release gate finds of a file.
const (
	FileUnreadable         Code = "file_unreadable"          // its client ignores it, or crashes: Detail
	FileNotPinning         Code = "file_not_pinning"         // it does not pin the host: Detail
	FileRefusesServed      Code = "file_refuses_served"      // Because says in what they differ
	FileRefusesCompromised Code = "file_refuses_compromised" // it refuses what is served, whose key is compromised
	FileRefusesComing      Code = "file_refuses_coming"      // State says where its key stands
	FilePinsEnd            Code = "file_pins_end"            // before the next version can be out
	FileFewPins            Code = "file_few_pins"            // fewer than min_pins
	FileNoBackup           Code = "file_no_backup"           // all usable pins are in the served chains
	ChainUnmatched         Code = "chain_unmatched"          // no pin is that of the chain's key
)
