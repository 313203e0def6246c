"""The outside world behind the ports: stores, buckets, links, HTTP."""
