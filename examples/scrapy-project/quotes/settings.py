"""Settings of the project."""

BOT_NAME = "quotes"
SPIDER_MODULES = ["quotes.spiders"]

ITEM_PIPELINES = {"quotes.pipelines.Tidy": 300, "quotes.pipelines.Once": 400}

ROBOTSTXT_OBEY = True
CONCURRENT_REQUESTS_PER_DOMAIN = 4
TELNETCONSOLE_ENABLED = False
LOG_LEVEL = "INFO"
