// Package schemas holds JSON Schemas (draft 2020-12) of what ctwatch prints,
// publishes and serves: certificate.json, key.json, log.json, and event.json for
// the CloudEvents that carry them. They refer to each other by relative references,
// so they work from any place that serves them side by side.
package schemas

import "embed"

// FS holds the schemas, *.json.
//
//go:embed *.json
var FS embed.FS
