"""Settings of the engine: flag, else SILKMILL_*, else <data>/silkmill.toml, else the default."""

from __future__ import annotations

import difflib
import os
import tomllib
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, ValidationError, field_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
    TomlConfigSettingsSource,
)

from silkmill.domain.errors import BadInput
from silkmill.domain.retention import Policy
from silkmill.domain.units import duration_seconds, size_bytes

PREFIX = "SILKMILL_"


def _seconds(value: object) -> object:
    return duration_seconds(value) if isinstance(value, str) and not _is_number(value) else value


def _bytes(value: object) -> object:
    return size_bytes(value) if isinstance(value, str) and not _is_number(value) else value


def _is_number(text: str) -> bool:
    return text.replace(".", "", 1).isdigit()


def _span(seconds: float) -> timedelta | None:
    return timedelta(seconds=seconds) if seconds else None


Age = Annotated[float, BeforeValidator(_seconds), Field(ge=0.0, le=36_500 * 86_400)]
"""Seconds, or a text such as `90d`."""
Size = Annotated[int, BeforeValidator(_bytes), Field(ge=0)]
"""Bytes, or a text such as `10GiB`."""


class Settings(BaseSettings):
    """None of them reaches a spider."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="ignore")

    data: Path
    """The data directory; never from silkmill.toml, which lies in it."""
    listen: str = "127.0.0.1:6810"
    """HOST:PORT of the HTTP API; port 0 takes a free one."""
    max_runners: int = Field(default_factory=lambda: os.cpu_count() or 1, ge=1, le=1024)
    """Tasks that run at the same time on this machine."""
    labels: dict[str, str] = Field(default_factory=dict)
    """What tasks may ask of this machine; as a variable it is JSON."""
    drain_timeout: Age = 600.0
    """Seconds that a drain waits for running spiders before it stops them and gives their tasks back."""
    spool: Annotated[Size, Field(ge=16 << 20)] = 1 << 30
    """Bytes of unshipped log and items of one attempt on disk; above it the spider is slowed."""
    cache: Annotated[Size, Field(ge=1 << 20)] = 10 << 30
    """Bytes of spider files that are kept for later attempts; those not used for longest go first."""
    environments: Size = 20 << 30
    """Bytes of environments (uv, npm) that are kept; those not used for longest go, never one in use."""
    environments_age: Age = 30 * 86400.0
    """Seconds that an environment is kept which no task uses."""
    containment: Literal["auto", "walk"] = "auto"
    """What holds a spider's processes: a cgroup where there is one (auto), or the process tree (walk)."""

    keep_tasks_for: Age = 0.0
    """How long an ended task is kept, with all that belongs to it; 0 is for ever, as everywhere below."""
    keep_tasks: int = Field(0, ge=0)
    """How many ended tasks are kept."""
    keep_logs_for: Age = 0.0
    """How long the logs of an ended task are kept."""
    keep_logs: Size = 0
    """How many bytes of the logs of ended tasks are kept."""
    keep_items_for: Age = 0.0
    """How long the items of an ended task are kept."""
    keep_versions_for: Age = 0.0
    """How long a version is kept that no spider points to and no kept task has."""

    @property
    def policy(self) -> Policy:
        return Policy(
            tasks_for=_span(self.keep_tasks_for),
            tasks=self.keep_tasks or None,
            logs_for=_span(self.keep_logs_for),
            log_bytes=self.keep_logs or None,
            items_for=_span(self.keep_items_for),
            versions_for=_span(self.keep_versions_for),
        )

    @field_validator("labels")
    @classmethod
    def _are_labels(cls, value: dict[str, str]) -> dict[str, str]:
        if not all(text and text.isprintable() for label in value.items() for text in label):
            raise ValueError("names and values of labels are printable text")
        return value

    @field_validator("listen")
    @classmethod
    def _has_port(cls, value: str) -> str:
        host, colon, port = value.rpartition(":")
        if not (host and colon and port.isdigit() and int(port) < 65536):
            raise ValueError("write HOST:PORT, such as 127.0.0.1:6810")
        return value

    @property
    def host(self) -> str:
        return self.listen.rpartition(":")[0].strip("[]")

    @property
    def port(self) -> int:
        return int(self.listen.rpartition(":")[2])

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        file = settings_file(init_settings()["data"])
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls, file)


def settings_file(data: Path) -> Path:
    return data / "silkmill.toml"


def load_settings(data: Path, **flags: Any) -> Settings:
    """`flags` that are None count as not given. Raises BadInput that names the setting and its source."""
    file = settings_file(data)
    _check_names(file)
    given = {name: value for name, value in flags.items() if value is not None}
    try:
        return Settings(data=data, **given)
    except SettingsError as error:  # a variable that should hold JSON
        raise BadInput(
            f"{PREFIX}LABELS: {error.__cause__}", field="labels", remedy='write it as JSON: {"name": "value"}'
        ) from None
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0])
        detail = first["msg"].removeprefix("Value error, ")
        raise BadInput(
            f"setting {name}: {detail}", field=name, remedy=f"correct it in {_origin(name, given, file)}"
        ) from None


def _check_names(file: Path) -> None:
    try:
        names = tomllib.loads(file.read_text())
    except FileNotFoundError:
        return
    except OSError as error:
        raise BadInput(
            f"data directory {file.parent}: {error.strerror}", field="data", remedy="choose another --data"
        ) from error
    except ValueError as error:
        raise BadInput(f"{file}: {error}", remedy="correct the file") from error
    known = set(Settings.model_fields) - {"data"}
    for name in names.keys() - known:
        near = difflib.get_close_matches(name, known, 1)
        remedy = f"did you mean {near[0]!r}?" if near else f"settings are {', '.join(sorted(known))}"
        raise BadInput(f"{file}: unknown setting {name!r}", field=name, remedy=remedy)


def _origin(name: str, flags: dict[str, Any], file: Path) -> str:
    if name in flags:
        return f"--{name.replace('_', '-')}"
    variable = PREFIX + name.upper()
    return variable if variable in os.environ else str(file)
