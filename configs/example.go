package configs

import (
	"bytes"
	_ "embed"
)

// Example is a commented configuration file with every setting. It is valid, also with the
// "#" removed from any lines in which it is not followed by one space.
//
//go:embed ctwatch.example.yaml
var Example []byte

// ExampleWith returns Example with a contact, which CheckContact must accept; "" for none.
func ExampleWith(contact string) []byte {
	if contact == "" {
		return Example
	}
	out := bytes.Replace(Example, []byte("\n#logs:\n"), []byte("\nlogs:\n"), 1)
	return bytes.Replace(out, []byte(exampleContact), []byte("\n  contact: "+quoteYAML(contact)+" "), 1)
}

// exampleContact is the beginning of the example's line about the contact.
const exampleContact = "\n#  contact: \"\" "
