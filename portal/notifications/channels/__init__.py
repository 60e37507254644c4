"""Ways to hear of something beside mail: texts, Slack, Teams and webhooks, as deliveries with a lane of their own."""
