package pins

import "time"

// An Action is something that a person can do about a finding.
type Action struct {
	Do Verb
	If Condition

	App         string
	Version     string
	Host        Pattern
	Pin         Pin
	Pins        []Pin
	Role        Role
	Certificate string   // ID, in hex
	Versions    []string // of the app that are still in use
	Algorithms  []string
	Despite     bool // with Approve: only unexpected certificates are known of the key
	Unpinned    bool // no recorded version pins the host, so that each of Pins will do
	Until       time.Time
	Past        bool // Until has passed
}

// A Condition says when an Action is right.
type Condition string

// The conditions. Only a person can tell which of them holds.
const (
	Always  Condition = ""
	Ours    Condition = "ours"     // the key belongs to the reader or, for an issuer, to a CA that they trust
	NotOurs Condition = "not_ours" // it does not
)

// A Verb says what an Action does.
type Verb string

// What can be dindividually command.
const (
	Approve         Verb = "approve"   // the key Pin for Host
	Declare         Verb = "declare"   // the key Pin, or a new one, for Host
	RetireKey       Verb = "retire"    // the key Pin
	AuthorizeCert   Verb = "authorize" // the certificate
	RejectCert      Verb = "reject"    // the certificate
	ShowCert        Verb = "show"      // the certificate
	ShowPlan        Verb = "plan"      // of App, or of all apps
	ImportVersion   Verb = "import"    // what a released version of App ships
	ReimportVersion Verb = "reimport"  // what Version of App ships, in place of what is recorded
	DropVersion     Verb = "drop"      // Version of App, which is no longer in use
	ProbeHost       Verb = "probe"     // Host, once
	ExportPins      Verb = "export"    // of App
)

// What has to be done elsewhere.
const (
	ShipPins         Verb = "ship"              // Pins, with the next version
	AddPin           Verb = "add_pin"           // Pin, to the file
	OmitPins         Verb = "omit"              // Pins, from the next version: it can do without
	LeaveOut         Verb = "leave_out"         // Pin, which must not be shipped
	ServeKey         Verb = "serve"             // one of Pins, or another key that is shipped
	RenewCert        Verb = "renew"             // with the key Pin that it has, or with one of Pins
	DoNotDeploy      Verb = "do_not_deploy"     // the certificate, or not while Versions are in use
	ReleaseVersion   Verb = "release"           // a version without what is wrong
	UpdateUsers      Verb = "update_users"      // to Version
	ReleaseBy        Verb = "release_by"        // Until
	ActNow           Verb = "act_now"           // the harm is done already
	EnableProbing    Verb = "enable_probing"    // of Host
	ListEndpoints    Verb = "list_endpoints"    // of Host, in the watch list
	ListHosts        Verb = "list_hosts"        // of the app, individually
	SuspectIntercept Verb = "suspect_intercept" // connections may be intercepted
	NewKey           Verb = "new_key"           // have a CA that is shipped certify a new key, and serve that
	SendIssuer       Verb = "send_issuer"       // add the issuer's certificate to the file
	GiveChain        Verb = "give_chain"        // whole, or the roots that it ends at
	MovePin          Verb = "move_pin"          // to where the client looks for keys of its Role
	ReplaceKey       Verb = "replace_key"       // by one of Algorithms
)
