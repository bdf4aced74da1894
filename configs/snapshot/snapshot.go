// Package snapshot holds the log list that is built in, for a first start without
// network: of each log the name, operator, key, URLs, merge delay, interval and
// state, as facts, in the form of a version 3 log list. Its `version` and
// `log_list_timestamp` say of which published list and date it is.
//
// go generate fetches the list that Google publishes, checks its signature and
// writes log_list.json anew. It works without network too:
//
//	go run ./gen -list log_list.json -sig log_list.sig -o log_list.json
package snapshot

import _ "embed"

//go:generate go run ./gen -o log_list.json

//go:embed log_list.json
var logList string

// LogList returns the list, which package loglist reads.
func LogList() []byte { return []byte(logList) }
