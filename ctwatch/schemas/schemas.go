// Package schemas has the JSON Schemas (draft 2020-12) of what ctwatch prints, publishes and
// serves: certificate.json, key.json, log.json, and event.json for the CloudEvents with them. They
// use relative references, so they work wherever they are served together.
package schemas

import "embed"

// FS has the schemas, *.json.
//
//go:embed *.json
var FS embed.FS
