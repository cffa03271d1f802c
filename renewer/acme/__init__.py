"""The CA: account, order, dns-01 proof, renewal information, rate limits."""
