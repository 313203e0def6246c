"""Finds the settings module of the project, as Scrapy does where no SCRAPY_SETTINGS_MODULE is set."""

from __future__ import annotations

import os
from importlib import import_module
from typing import Any, Dict

from scrapy.utils.conf import get_config, init_env


def project_settings() -> Dict[str, Any]:
    """All settings of the project's module by name; none where scrapy.cfg names no module.

    What the import of that module raises is raised.
    """
    project = os.environ.get("SCRAPY_PROJECT", "default")
    init_env(project)  # an older Scrapy does not do so when the variable is set, as it is here
    name = os.environ.get("SILKMILL_SCRAPY_SETTINGS") or get_config().get("settings", project, fallback="")
    if not name:
        return {}
    module = import_module(name)
    return {key: getattr(module, key) for key in dir(module) if key.isupper()}
