// Package configs is the configuration of ctwatch: its schema, its defaults, and
// a strict reader. The commented example (Example) is the reference for users;
// the fields of Config are the reference for code.
//
// The file is YAML 1.2, one document. An unknown setting is a mistake, and every
// mistake names its file, line and column, and what was expected; a file's
// mistakes are reported all at once. Anchors and aliases work within a bound;
// tags and merge keys are refused.
//
//	path, err := configs.Find(explicit, env) // "" is fine: built-in defaults
//	cfg, err := configs.Load(path, env)
//
// # Secrets
//
// A setting that is a secret (say slack.token) is never written in the file. It
// is either the name of a file (token_file: a path, or the name of a credential
// in $CREDENTIALS_DIRECTORY) or taken from the environment (token: ${NAME}).
// Load does not read it, so that reading commands work for people who may not:
// Secret.Reveal reads it when it is used, and Config.CheckSecrets tries all of
// them, for the daemon's start and for checking a file.
//
// ${NAME} stands for an environment variable in any other value too; $${ is a
// literal ${.
package configs
