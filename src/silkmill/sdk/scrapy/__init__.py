"""What runs inside a Scrapy spider's process beside its own code: reports, items, a graceful cancel.

Nothing here is imported unless Scrapy asks for `silkmill.sdk.scrapy.settings`, and `silkmill.sdk` never
imports it. It works with Scrapy 2.6 and later.
"""
