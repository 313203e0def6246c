"""Spiders written for Crawlab: their frames have no nonce, and count only where no hello is said."""

from __future__ import annotations

import sys

from scrapy.settings import BaseSettings


def imports_crawlab() -> bool:
    """Whether this process has imported Crawlab's SDK, which then saves the items."""
    return "crawlab" in sys.modules


def has_crawlab_pipeline(settings: BaseSettings) -> bool:
    """Whether Crawlab's own pipeline saves what the spider yields; else the spider calls its `save_item`."""
    return any(
        order is not None and _module_of(pipeline) == "crawlab"
        for pipeline, order in settings.getwithbase("ITEM_PIPELINES").items()
    )


def _module_of(component: object) -> str:
    path = component if isinstance(component, str) else getattr(component, "__module__", "")
    return path.split(".", 1)[0]
