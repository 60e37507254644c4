"""Call records: who called whom, when and how it ended, and the sums every figure of calls is made of."""
