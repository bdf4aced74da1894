package configs

import (
	"bytes"
	_ "embed"
)

// Example is a commented configuration file with every setting, for a newcomer to
// start from. It is valid as it is; a line that begins with "#" and then anything
// but one space is a setting that is valid as well once the "#" is removed.
//
//go:embed ctwatch.example.yaml
var Example []byte

// ExampleWith is Example with a contact in it, which has to be one; "" for none.
func ExampleWith(contact string) []byte {
	if contact == "" {
		return Example
	}
	out := bytes.Replace(Example, []byte("\n#logs:\n"), []byte("\nlogs:\n"), 1)
	return bytes.Replace(out, []byte(exampleContact), []byte("\n  contact: "+quoteYAML(contact)+" "), 1)
}

// exampleContact is how the example's line about the contact begins.
const exampleContact = "\n#  contact: \"\" "
