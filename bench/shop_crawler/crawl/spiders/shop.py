"""A short crawl: a page of links, and the products behind them."""

import scrapy


class Shop(scrapy.Spider):
    name = "shop"

    async def start(self):
        yield scrapy.Request(self.settings["SHOP_URL"])

    def parse(self, response):
        yield from response.follow_all(css="li a", callback=self.parse_product)

    def parse_product(self, response):
        yield {
            "url": response.url,
            "title": response.css("h1::text").get(),
            "price": float(response.css(".price::text").get()),
        }
