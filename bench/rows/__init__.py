"""The rows of the table; a new one is a file here and a line in this list."""

from bench.rounds import Row
from bench.rows.claim import Claim
from bench.rows.items import Items
from bench.rows.log import Log
from bench.rows.memory import Memory
from bench.rows.redeploy import Redeploy
from bench.rows.scrapy import Scrapy
from bench.rows.start import Start
from bench.rows.tasks import Tasks

ROWS: dict[str, Row] = {
    row.name: row for row in (Tasks(), Start(), Log(), Items(), Claim(), Redeploy(), Memory(), Scrapy())
}
