"""A Scrapy project as `scrapy startproject` makes it. Nothing in it knows of Silkmill.

    silkmill deploy examples/scrapy-project
    silkmill run quotes -a site=https://quotes.toscrape.com

The first needs an engine that stays (`silkmill up`); it prints the spiders: `authors` and `quotes`.
"""
