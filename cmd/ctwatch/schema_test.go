package main

import (
	"bytes"
	"encoding/json"
	"io/fs"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"ctwatch/ctwatch/schemas"
)

// compileSchema compiles one of the published JSON Schemas.
func compileSchema(name string) (*jsonschema.Schema, error) {
	const base = "https://schemas.invalid/"
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	c.AssertContent()
	names, err := fs.Glob(schemas.FS, "*.json")
	if err != nil {
		return nil, err
	}
	for _, n := range names {
		b, err := schemas.FS.ReadFile(n)
		if err != nil {
			return nil, err
		}
		doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(b))
		if err != nil {
			return nil, err
		}
		if err := c.AddResource(base+n, doc); err != nil {
			return nil, err
		}
	}
	return c.Compile(base + name)
}

func validate(s *jsonschema.Schema, document []byte) error {
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(document))
	if err != nil {
		return err
	}
	return s.Validate(doc)
}

// elements takes a JSON array apart.
func elements(array []byte) ([][]byte, error) {
	var raw []json.RawMessage
	if err := json.Unmarshal(array, &raw); err != nil {
		return nil, err
	}
	out := make([][]byte, len(raw))
	for i, r := range raw {
		out[i] = r
	}
	return out, nil
}
