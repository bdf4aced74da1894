package setup

import (
	"fmt"

	"ctwatch/configs"
	"ctwatch/ctwatch/policy"
	"ctwatch/notify/email"
	"ctwatch/notify/nats"
)

// Check adds the mistakes in settings whose rules are those of other packages: issuers,
// logs and senders. It is a check for configs.Load: it reads no secrets and no files.
func Check(cfg *configs.Config, wrong *configs.Mistakes) {
	for i, w := range cfg.Watch {
		for j, s := range w.Issuers {
			_, err := policy.ParseIssuer(s)
			wrong.At(err, "watch[%d].issuers[%d]", i, j)
		}
	}
	extraLogs(cfg, wrong)
	checkSenders(cfg, wrong)
}

// checkSenders adds the mistakes in the settings of senders.
func checkSenders(cfg *configs.Config, wrong *configs.Mistakes) {
	wrong.At(nats.Options{Stream: cfg.NATS.Stream, SubjectPrefix: cfg.NATS.Subject}.Check(), "nats")
	if s := cfg.Slack; s != nil {
		wrong.At(slackOptions(s).Check(), "slack")
	}
	if e := cfg.Email; e != nil {
		wrong.At(emailOptions(e).Check(), "email")
		for i, to := range e.To {
			wrong.At(email.CheckAddress(fmt.Sprintf("to[%d]", i), to), "email")
		}
		wrong.At(filter(e.Filter).Check(), "email")
	}
	for i, w := range cfg.Webhooks {
		wrong.At(webhookOptions(w).Check(), "webhooks[%d]", i)
		wrong.At(filter(w.Filter).Check(), "webhooks[%d]", i)
	}
	for i, s := range cfg.Services {
		wrong.At(serviceOptions(s).Check(), "services[%d]", i)
		wrong.At(filter(s.Filter).Check(), "services[%d]", i)
	}
}
