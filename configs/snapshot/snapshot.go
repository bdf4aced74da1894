// Package snapshot holds the log list that is built in, for a first start without
// network: of each log the name, operator, key, URLs, merge delay, interval and
// state, as facts, in the form of a version 3 log list. Its `version` and
// `log_list_timestamp` say of which published list and date it is.
//
// go generate fetches the list that Google publishes, checks its signature and
// writes log_list.json. It works without network too:
//
//	go run ./gen -list log_list.json -sig log_list.sig -o log_list.json
//
// With -update FILE the facts are brought up to date with a newer list that has no
// signature, if it agrees with the signed one about each of its logs. The present ones are
// of the signed list 85.92, brought up to date with Google's list of all logs, 89.25.
package snapshot

import _ "embed"

//go:generate go run ./gen -o log_list.json

//go:embed log_list.json
var logList string

// LogList returns the list, which package loglist reads.
func LogList() []byte { return []byte(logList) }
