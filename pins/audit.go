package pins

import "time"

// A Record is one entry of the audit trail: one change of what is trusted. Records
// are only ever added.
type Record struct {
	At          time.Time `json:"at"`
	Pin         Pin       `json:"pin"`                   // the key concerned; zero when it is about a certificate or an app alone
	Role        Role      `json:"role,omitempty"`        //
	Action      string    `json:"action"`                // what was done: "state", "approve", "withdraw", "judge", "import", "drop"
	From        State     `json:"from,omitempty"`        // for "state"
	To          State     `json:"to,omitempty"`          //
	Hosts       []Pattern `json:"hosts,omitempty"`       // for "approve" and "withdraw": the hosts concerned
	Certificate string    `json:"certificate,omitempty"` // for "judge": its ID in hex
	Verdict     string    `json:"verdict,omitempty"`     // for "judge": what it was judged to be
	App         string    `json:"app,omitempty"`         // for "import" and "drop"
	Version     string    `json:"version,omitempty"`     //
	Actor       Actor     `json:"actor"`                 // what kind of thing did it
	By          string    `json:"by"`                    // who: a person's name, or what stands for Actor
	Reason      string    `json:"reason"`
}
