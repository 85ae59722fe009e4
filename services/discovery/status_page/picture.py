"""The picture of the federation: SVG with servers on a circle and links between them. Pure.

It carries no style of its own: the page's style sheet draws by class.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from typing import Final, NamedTuple

from parley.services.discovery.status_page.view import DOWN, LINKED, PARTLY, Edge, Node, View


class Frame(NamedTuple):
    """How large a picture is: units are pixels where there is room for it."""

    name: str
    """The id of the picture's element; the style sheet shows the one that fits."""
    width: float
    height: float
    box: float
    """The width of a server's box."""
    most: int
    """More servers than that are in the table only."""
    longest: int
    """Characters of a name."""


WIDE: Final = Frame("picture", 760, 440, 144, 40, 18)
NARROW: Final = Frame("narrow-picture", 340, 460, 116, 8, 14)
HIGH: Final = 48
"""The height of a box."""
CLASSES: Final = {LINKED: "linked", PARTLY: "partly", DOWN: "down"}

Point = tuple[float, float]


def picture(view: View, frame: Frame = WIDE) -> str:
    """The <svg> element."""
    nodes = sorted(view.nodes, key=lambda node: not node.is_own)[: frame.most]
    points = _points(nodes, frame)
    edges = [edge for edge in view.edges if edge.one in points and edge.other in points]
    parts = [_edge(edge, points) for edge in edges] + [_node(node, points[node.server_id], frame) for node in nodes]
    label = f"{len(nodes)} servers and {len(edges)} links between them; the tables below say the same"
    shape = f'class="picture" viewBox="0 0 {frame.width} {frame.height}" role="img" aria-label="{escape(label)}"'
    return f'<svg id="{frame.name}" {shape}>{"".join(parts)}</svg>'


def _points(nodes: Sequence[Node], frame: Frame) -> dict[str, Point]:
    """On an ellipse, ours on top; one alone in the middle."""
    if len(nodes) == 1:
        return {nodes[0].server_id: (frame.width / 2, frame.height / 2)}
    wide, high = (frame.width - frame.box) / 2 - 6, (frame.height - HIGH) / 2 - 6
    turns = [2 * math.pi * number / len(nodes) - math.pi / 2 for number in range(len(nodes))]
    return {
        node.server_id: (frame.width / 2 + wide * math.cos(turn), frame.height / 2 + high * math.sin(turn))
        for node, turn in zip(nodes, turns, strict=True)
    }


def _edge(edge: Edge, points: dict[str, Point]) -> str:
    (x1, y1), (x2, y2) = points[edge.one], points[edge.other]
    without = f" (without {', '.join(edge.missing)})" if edge.state == PARTLY else ""
    label = f"{edge.one} – {edge.other}: {edge.state}{without}"
    return (
        f'<line class="edge {CLASSES[edge.state]}" data-edge="{escape(f"{edge.one} {edge.other}")}" '
        f'x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"><title>{escape(label)}</title></line>'
    )


def _node(node: Node, place: Point, frame: Frame) -> str:
    x, y = place
    kind = "ours" if node.is_own else "silent" if node.is_silent else "heard"
    below = f"no {', '.join(node.lacks)}" if node.lacks else "this node" if node.is_own else "all features"
    below = shortened(below, frame.box // 5)
    lacking = " lacking" if node.lacks else ""
    return (
        f'<g class="node {kind}" data-node="{escape(node.server_id)}"><title>{escape(node.server_id)}: '
        f"{escape(', '.join(node.features) or 'no feature known')}</title>"
        f'<rect x="{x - frame.box / 2:.1f}" y="{y - HIGH / 2:.1f}" width="{frame.box}" height="{HIGH}" rx="10"/>'
        f'<text class="name" x="{x:.1f}" y="{y - 1:.1f}">{escape(shortened(node.server_id, frame.longest))}</text>'
        f'<text class="below{lacking}" x="{x:.1f}" y="{y + 15:.1f}">{escape(below)}</text></g>'
    )


def shortened(name: str, longest: float) -> str:
    """A name as long as fits."""
    return name if len(name) <= longest else name[: int(longest) - 1] + "…"
