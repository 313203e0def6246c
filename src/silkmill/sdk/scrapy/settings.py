"""The settings of the project, and our parts beside its own: the module that SCRAPY_SETTINGS_MODULE names.

Ours are in the `*_BASE` settings, where Scrapy keeps its own: so `EXTENSIONS`, `ITEM_PIPELINES` and
`DOWNLOADER_MIDDLEWARES` of the project, and `custom_settings` of a spider, stay what they are. Outside of
Silkmill these are the settings of the project and nothing else.
"""

from __future__ import annotations

import os
from typing import Any, Dict

from scrapy.settings import default_settings

from .project import project_settings

_FIRST, _LAST = -1_000_000, 1_000_000
# The middleware is the nearest to the engine: it sees what no other has dealt with.
_OURS = {
    "EXTENSIONS_BASE": {"silkmill.sdk.scrapy.extension.SilkmillExtension": _FIRST},
    "ITEM_PIPELINES_BASE": {"silkmill.sdk.scrapy.pipeline.SilkmillPipeline": _LAST},
    "DOWNLOADER_MIDDLEWARES_BASE": {"silkmill.sdk.scrapy.middleware.SilkmillMiddleware": _FIRST},
}


def with_ours(settings: Dict[str, Any]) -> Dict[str, Any]:
    """These settings of a project with our parts in them."""
    merged = dict(settings)
    for name, parts in _OURS.items():
        merged[name] = {**settings.get(name, getattr(default_settings, name)), **parts}
    return merged


_settings = project_settings()
if os.environ.get("SILKMILL_IPC_NONCE"):
    from .watch import watch_logs

    watch_logs()
    _settings = with_ours(_settings)
globals().update(_settings)
