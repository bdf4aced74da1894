package slack

// Error codes of chat.postMessage (https://docs.slack.dev/reference/methods/chat.postMessage#errors),
// chat.update (https://docs.slack.dev/reference/methods/chat.update#errors) and of
// incoming webhooks.

// permanent reports whether an error code is about one message, so that a retry cannot
// succeed.
func permanent(code string) bool {
	switch code {
	case "attachment_payload_limit_exceeded", "invalid_blocks", "invalid_blocks_format",
		"invalid_metadata_format", "invalid_metadata_schema", "invalid_payload",
		"markdown_text_conflict", "metadata_too_large", "msg_blocks_too_long", "msg_too_long", "no_text",
		"too_many_attachments":
		return true
	}
	return false
}

// threadIsGone reports whether an error says that a message or its channel does not exist
// anymore, so that its thread is not read.
func threadIsGone(err error) bool {
	switch codeOf(err) {
	case "message_not_found", "thread_not_found", "cannot_reply_to_message", "restricted_action_thread_locked",
		"restricted_action_non_threadable_channel", "channel_not_found", "is_archived":
		return true
	}
	return false
}

// unchangeable reports whether an error says that a message can never be updated. An
// update adds nothing that the thread does not have, so this is true of all errors but
// those that are temporary, or that affect posts as well.
func unchangeable(err error) bool {
	switch code := codeOf(err); code {
	case "404", "405", "501": // a service that imitates Slack
		return true
	case "", "ratelimited", "rate_limited", "internal_error", "fatal_error", "request_timeout", "service_unavailable",
		"account_inactive", "ekm_access_denied", "invalid_auth", "missing_scope", "no_permission", "not_authed",
		"not_in_channel", "org_login_required", "team_access_not_granted", "team_added_to_org", "token_expired", "token_revoked":
		return false
	default:
		return code[0] > '9' // no HTTP status
	}
}

// advice returns what a person can do about an error code, or "". Messages wait until
// they have.
func advice(code string) string {
	switch code {
	case "account_inactive":
		return "the token's user or workspace was deactivated: make a new token"
	case "action_prohibited":
		return "an administrator does not let this webhook post"
	case "channel_is_archived", "is_archived":
		return "unarchive the channel, or name another in slack.channel or slack.routes"
	case "channel_not_found":
		return "check slack.channel and slack.routes, and invite the app to the channel"
	case "ekm_access_denied":
		return "an administrator has suspended posting"
	case "invalid_auth":
		return "the token is wrong: check the file that slack.token_file names"
	case "invalid_token":
		return "the webhook URL is wrong: check the file that slack.webhook_url_file names"
	case "missing_scope", "no_permission":
		return "give the app the scope chat:write, and install it again"
	case "no_active_hooks":
		return "the webhook was disabled: make a new one"
	case "no_service":
		return "the webhook was disabled or removed: make a new one"
	case "no_team":
		return "the webhook's workspace is gone: make a new one"
	case "not_authed":
		return "there is no token: check the file that slack.token_file names"
	case "not_in_channel":
		return "invite the app to the channel, or give it the scope chat:write.public"
	case "posting_to_general_channel_denied":
		return "name another channel, or let the webhook post there"
	case "restricted_action":
		return "the workspace does not let the app post to this channel"
	case "team_access_not_granted":
		return "install the app in the channel's workspace"
	case "token_expired", "token_revoked":
		return "make a new token"
	}
	return ""
}
