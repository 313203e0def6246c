"""Placement: which nodes may run a task, and the queue it waits in among its equals."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field

from silkmill.domain.errors import BadInput, NoNode
from silkmill.domain.node import Node

MODES = ("random", "nodes", "all")


@dataclass(frozen=True, slots=True)
class Placement:
    """`mode`: random (any node), nodes (one of `nodes`, by name or id), all (one task for each, made at the
    submit). `labels` narrow any of them: a node must have them all."""

    mode: str = "random"
    nodes: tuple[str, ...] = ()
    labels: dict[str, str] = field(default_factory=dict)

    def allows(self, node: Node) -> bool:
        named = not self.nodes or node.name in self.nodes or node.id in self.nodes
        return named and self.labels.items() <= node.labels.items()

    @property
    def words(self) -> str:
        """For a person: what a node must be."""
        named = [f"is named {' or '.join(self.nodes)}"] if self.nodes else []
        labelled = [f"has the label {name}={value}" for name, value in sorted(self.labels.items())]
        return " and ".join(named + labelled) or "is connected"


ANYWHERE = Placement()


@dataclass(frozen=True, slots=True)
class Queue:
    """Tasks that wait for the same: a slot of the same nodes and a permit of the same spider."""

    project: str
    spider: str
    narrowed: str
    """The placement as JSON; empty where any node will do."""

    @property
    def placement(self) -> Placement:
        return _placement(json.loads(self.narrowed)) if self.narrowed else ANYWHERE


def queue_name(project: str, spider: str, placement: Placement | None) -> str:
    """`<project>/<spider>`, and after a space the placement as JSON if it narrows."""
    if placement is None or placement == ANYWHERE:
        return f"{project}/{spider}"
    return f"{project}/{spider} {json.dumps(asdict(placement), sort_keys=True)}"


def queue_of_name(name: str) -> Queue:
    """What `queue_name` was given."""
    owner, _, narrowed = name.partition(" ")
    project, _, spider = owner.partition("/")
    return Queue(project, spider, narrowed)


def checked_placement(mode: str, nodes: tuple[str, ...], labels: Mapping[str, str]) -> Placement:
    """Raises BadInput."""
    if mode not in MODES:
        raise BadInput(f"mode {mode!r} is unknown", field="mode", remedy=f"use one of {', '.join(MODES)}")
    if mode == "nodes" and not nodes:
        raise BadInput("mode 'nodes' names no node", field="nodes", remedy="name one or more")
    if mode == "random" and nodes:
        raise BadInput(
            "mode 'random' takes any node", field="nodes", remedy="leave them out, or use mode 'nodes'"
        )
    for field_name, texts in (("nodes", nodes), ("labels", (*labels, *labels.values()))):
        if wrong := [text for text in texts if not text or not text.isprintable()]:
            raise BadInput(f"{field_name} hold {wrong[0]!r}", field=field_name, remedy="give printable text")
    return Placement(mode, tuple(sorted(set(nodes))), dict(labels))


def pinned(placement: Placement, nodes: Iterable[Node]) -> list[Placement]:
    """One for each node that a placement of mode `all` allows. Raises NoNode when there is none."""
    found = [Placement("nodes", (node.id,)) for node in nodes if placement.allows(node)]
    if not found:
        raise NoNode(placement.words)
    return found


def _placement(document: dict[str, object]) -> Placement:
    mode, nodes, labels = document["mode"], document["nodes"], document["labels"]
    assert isinstance(mode, str) and isinstance(nodes, list) and isinstance(labels, dict)
    return Placement(mode, tuple(nodes), labels)
