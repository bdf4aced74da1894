package slack

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/slack-go/slack"

	"ctwatch/ctwatch"
	"ctwatch/ctwatch/retryafter"
	"ctwatch/notify"
	"ctwatch/notify/outward"
)

// maxReply bounds what is read of a reply. Slack repeats the message in it.
const maxReply = 1 << 20

// httpClient does one request with a bounded reply, and checks that it is Slack's:
// slack-go takes {"ok":false} without an error code, or any other JSON object, for
// success, and understands a 429 only with a number of seconds.
type httpClient struct {
	client *http.Client
	token  string                  // "" with a webhook
	check  func(body []byte) error // of a reply with status 200
}

// Do implements the client interface of slack-go. The reply it returns is a success.
func (h *httpClient) Do(req *http.Request) (*http.Response, error) {
	if h.token != "" {
		req.Header.Set("Authorization", "Bearer "+h.token)
	}
	resp, err := h.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxReply))
	if err != nil {
		return nil, fmt.Errorf("reading the reply: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		return nil, newStatusError(resp, body)
	}
	if err := h.check(body); err != nil {
		return nil, err
	}
	resp.Body = io.NopCloser(bytes.NewReader(body))
	return resp, nil
}

// A statusError is a reply whose status is not 200.
type statusError struct {
	code       int
	reason     string        // the error code of a webhook, such as "invalid_payload"; "" without one
	retryAfter time.Duration // 0 when Slack does not say
}

func newStatusError(resp *http.Response, body []byte) *statusError {
	s := &statusError{code: resp.StatusCode}
	if reason := strings.TrimSpace(string(body)); isErrorCode(reason) {
		s.reason = reason
	}
	if resp.StatusCode == http.StatusTooManyRequests || resp.StatusCode == http.StatusServiceUnavailable {
		s.retryAfter = retryafter.Of(resp.Header, time.Now())
	}
	return s
}

// As makes slack-go's own retries recognize a 429.
func (s *statusError) As(target any) bool {
	limited, ok := target.(**slack.RateLimitedError)
	if ok = ok && s.code == http.StatusTooManyRequests; ok {
		*limited = &slack.RateLimitedError{RetryAfter: s.retryAfter}
	}
	return ok
}

func (s *statusError) Error() string {
	text := fmt.Sprintf("Slack answered %d %s", s.code, http.StatusText(s.code))
	if s.reason != "" {
		text += ": " + s.reason
	}
	return text
}

// checkAPIReply checks that a reply of the Web API says whether the call succeeded.
func checkAPIReply(body []byte) error {
	var reply struct {
		OK    *bool  `json:"ok"`
		Error string `json:"error"`
	}
	if err := json.Unmarshal(body, &reply); err != nil || reply.OK == nil {
		return errors.New("the reply is not Slack's: a proxy or another service answers (check slack.api_url)")
	}
	if !*reply.OK && reply.Error == "" {
		return errors.New("the message was refused without a reason")
	}
	return nil
}

// checkWebhookReply refuses a web page, which is not the reply of a webhook. Slack replies
// "ok"; services that imitate it reply other things.
func checkWebhookReply(body []byte) error {
	if bytes.HasPrefix(bytes.TrimSpace(body), []byte("<")) {
		return errors.New("the reply is a web page, not Slack's: a proxy or another service answers (check the webhook URL)")
	}
	return nil
}

// explain returns whether to retry after an error, and the error for a person, without
// secrets. It retries all errors but those that are known to be permanent.
func explain(err error, doing string, secrets ...string) (retry bool, _ error) {
	code, detail := "", ""
	var after time.Duration
	retry = true

	var reply slack.SlackErrorResponse
	var status *statusError
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return true, fmt.Errorf("slack: %s: no answer in time", doing)
	case errors.As(err, &reply):
		code = reply.Err
		detail = fmt.Sprintf("Slack refused the message: %s", code)
		if len(reply.ResponseMetadata.Messages) > 0 {
			detail += " (" + strings.Join(reply.ResponseMetadata.Messages, "; ") + ")"
		}
	case errors.As(err, &status):
		code, after, detail = status.reason, status.retryAfter, status.Error()
		if status.code == http.StatusRequestEntityTooLarge {
			retry = false
		}
	default:
		detail = outward.WithoutURL(err)
	}
	if permanent(code) {
		retry = false
	} else if advice := advice(code); advice != "" {
		detail += ": " + advice
	}

	for _, s := range secrets {
		if len(s) >= 4 { // a shorter one is not a secret; replacing it would mangle the text
			detail = strings.ReplaceAll(detail, s, "[secret]")
		}
	}
	if code == "" && status != nil {
		code = strconv.Itoa(status.code)
	}
	err = &apiError{code: code, text: fmt.Sprintf("slack: %s: %s", doing, ctwatch.Printable(detail, 400))}
	if after > 0 {
		err = &notify.RetryAfterError{After: after, Err: err}
	}
	return retry, err
}

// An apiError is an error in words, without secrets.
type apiError struct {
	code string // Slack's, or else the HTTP status; "" without either
	text string
}

func (e *apiError) Error() string { return e.text }

// codeOf returns the code of an error of explain, or "".
func codeOf(err error) string {
	var e *apiError
	if errors.As(err, &e) {
		return e.code
	}
	return ""
}

// isErrorCode reports whether s looks like one of Slack's error codes.
func isErrorCode(s string) bool {
	for i := range len(s) {
		if c := s[i]; !('a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '_') {
			return false
		}
	}
	return s != "" && len(s) <= 64
}
