"""`/api/v2`: what the public status page says, in the shape of the Statuspage API v2, which many programs read."""
