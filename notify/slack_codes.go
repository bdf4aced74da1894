package notify

// Error codes of chat.postMessage (https://docs.slack.dev/reference/methods/chat.postMessage#errors)
// and of incoming webhooks.

// hopeless reports whether an error code is about one message, so that no later try
// can mend it.
func hopeless(code string) bool {
	switch code {
	case "attachment_payload_limit_exceeded", "invalid_blocks", "invalid_blocks_format",
		"invalid_metadata_format", "invalid_metadata_schema", "invalid_payload",
		"markdown_text_conflict", "metadata_too_large", "msg_blocks_too_long", "msg_too_long", "no_text",
		"too_many_attachments":
		return true
	}
	return false
}

// slackAdvice says what a person can do about an error code, or "". Until they have,
// messages wait.
func slackAdvice(code string) string {
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
