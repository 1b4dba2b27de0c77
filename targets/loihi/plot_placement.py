"""A placement as a picture: cores of a chip, how full they are, who sends to whom."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import matplotlib
import numpy as np
from jaxtyping import Float64
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

from isotau.targets.loihi.limits import LIMITS, Chip
from isotau.targets.loihi.place import CoreUse, Placement, utilization
from isotau.targets.loihi.traffic import links

MAP = "cividis"
"""The same to colour-blind readers (doi:10.1371/journal.pone.0199239)."""
PALE, GREY, SENT = "#F0F0F0", "#555555", "#D55E00"
GAP = 0.45
"""Between tiles, in widths of a core: there the links are drawn."""
WIDEST = 9.0
"""Line width of the busiest link, in points."""


class Mesh(NamedTuple):
    """How cores are arranged in the picture: tiles, and cores within a tile."""

    columns: int
    rows: int
    across: int
    down: int
    gap: float

    def corner(self, core: int) -> tuple[float, float]:
        """Return where a core is, the upper left one at the origin."""
        tile, inside = divmod(core, self.across * self.down)
        x, y = self.tile(tile % self.columns, tile // self.columns)
        return x + inside % self.across, y + inside // self.across

    def tile(self, column: int, row: int) -> tuple[float, float]:
        """Return where a tile is."""
        return column * (self.across + self.gap), row * (self.down + self.gap)


def plot_placement(
    placement: Placement,
    ax: Axes | None = None,
    *,
    chip_number: int = 0,
    traffic: Float64[np.ndarray, "cores cores"] | None = None,
    names: Sequence[str] | None = None,
) -> Axes:
    """Draw the cores of one chip on its mesh, and return the axes.

    A core's colour is the share of its tightest limit; it names the populations and the
    number of neurons on it. With traffic it also says how many messages it sends to
    others in a trial, and lines between tiles are as wide as their links are busy.
    Which core is where on the mesh is not public: they are numbered tile by tile.

    Args:
        placement: what to draw.
        ax: where; a figure of its own if not given.
        chip_number: which of its chips.
        traffic: messages from core to core, as `traffic` counts them.
        names: of the populations; their numbers if not given.

    Raises:
        ValueError: no such chip, or traffic of another shape.
    """
    if not 0 <= chip_number < placement.chips:
        raise ValueError(
            f"chip_number: got {chip_number}, need 0 to {placement.chips - 1}"
        )
    need = (placement.cores, placement.cores)
    if traffic is not None and traffic.shape != need:
        raise ValueError(f"traffic: got shape {traffic.shape}, need {need}")
    chip = placement.chip
    rows = {row.core: row for row in utilization(placement) if row.chip == chip_number}
    mesh = _mesh(chip, len(rows))
    axes = _axes(mesh) if ax is None else ax
    colours = ScalarMappable(Normalize(0, 1), matplotlib.colormaps[MAP])
    outgoing = None
    if traffic is not None:
        # What a core sends to itself does not leave it.
        outgoing = traffic.sum(axis=1) - np.diag(traffic)
        _draw_links(axes, mesh, links(chip, traffic, chip_number))
    room = mesh.columns * mesh.rows * mesh.across * mesh.down
    for core in range(min(room, chip.cores)):
        _draw_core(axes, mesh.corner(core), rows.get(core), colours, names)
        if outgoing is not None and core in rows:
            number = outgoing[chip_number * chip.cores + core]
            _write_sent(axes, mesh.corner(core), number)
    _finish(axes, placement, chip_number, mesh, colours, traffic is not None)
    return axes


def _mesh(chip: Chip, cores: int) -> Mesh:
    """Return the arrangement, without the rows of tiles below the last neuron."""
    if chip.mesh is None or chip.cores_per_tile is None:
        # Twice as wide as high, as the page is; a core stands for a tile.
        columns = int(np.ceil(np.sqrt(2 * chip.cores)))
        return Mesh(columns, -(-cores // columns), 1, 1, 0.0)
    # The cores of a tile as nearly in a square as they go.
    across = int(np.ceil(np.sqrt(chip.cores_per_tile)))
    down = -(-chip.cores_per_tile // across)
    rows = -(-cores // (chip.mesh[0] * chip.cores_per_tile))
    return Mesh(chip.mesh[0], rows, across, down, GAP)


def _axes(mesh: Mesh) -> Axes:
    width, height = mesh.tile(mesh.columns, mesh.rows)
    size = (1.8 + 0.55 * width, max(2.2, 0.8 + 0.55 * height))
    figure = Figure(figsize=size, layout="constrained")
    FigureCanvasAgg(figure)  # without pyplot, which keeps every figure in memory
    axes: Axes = figure.subplots()
    return axes


def _draw_core(
    axes: Axes,
    place: tuple[float, float],
    row: CoreUse | None,
    colours: ScalarMappable,
    names: Sequence[str] | None,
) -> None:
    if row is None:
        axes.add_patch(Rectangle(place, 1, 1, facecolor=PALE, edgecolor="white", lw=1))
        return
    # The share of the limit that is nearest: a core is as full as its fullest memory.
    share = row.share[row.tightest]
    fill = colours.to_rgba(np.array([share]))[0]
    axes.add_patch(Rectangle(place, 1, 1, facecolor=fill, edgecolor="white", lw=1))
    titles = [names[p] if names else str(p) for p in row.populations]
    # A core is narrow: of many populations the first and the last.
    label = "+".join(titles) if len(titles) < 3 else f"{titles[0]}…{titles[-1]}"
    style: Any = {"ha": "center", "va": "center", "color": _ink(share)}
    x, y = place
    size = 7 if len(label) < 8 else 5  # points: more would not fit a core
    axes.text(x + 0.5, y + 0.27, label, fontsize=size, fontweight="bold", **style)
    axes.text(x + 0.5, y + 0.54, str(row.used["neurons"]), fontsize=7, **style)


def _write_sent(axes: Axes, place: tuple[float, float], number: float) -> None:
    """Write how many messages a core sends, in the ink of what stands on it."""
    ink = axes.texts[-1].get_color()
    text = f"{number:.0f} →" if number < 1000 else f"{number / 1000:.3g}k →"
    style: Any = {"ha": "center", "va": "center", "color": ink}
    axes.text(place[0] + 0.5, place[1] + 0.8, text, fontsize=6, **style)


def _ink(share: float) -> str:
    return "black" if share > 0.5 else "white"  # the map is dark at its low end


def _draw_links(
    axes: Axes,
    mesh: Mesh,
    loads: dict[tuple[tuple[int, int], tuple[int, int]], float],
) -> None:
    # Widths are relative: what a link can carry is not public.
    most = max(loads.values(), default=0.0)
    for ends, load in loads.items():
        middles = [
            (x + mesh.across / 2, y + mesh.down / 2)
            for x, y in (mesh.tile(*end) for end in ends)
        ]
        x, y = zip(*middles, strict=True)
        width = max(0.5, WIDEST * load / most)
        line = Line2D(x, y, lw=width, color=SENT, solid_capstyle="butt", zorder=0.5)
        axes.add_line(line)
    if loads:
        label = f"busiest link between tiles: {most:,.0f} messages per trial"
        handle = Line2D([], [], lw=WIDEST / 2, color=SENT, label=label)
        place: Any = {"loc": "upper left", "bbox_to_anchor": (0, 0), "borderpad": 0}
        axes.legend(handles=[handle], fontsize=8, frameon=False, **place)


def _finish(
    axes: Axes,
    placement: Placement,
    chip_number: int,
    mesh: Mesh,
    colours: ScalarMappable,
    sending: bool,
) -> None:
    chip = placement.chip
    width, height = mesh.tile(mesh.columns, mesh.rows)
    edge = 0.15
    # y runs down, so that the first tile is the upper left one.
    axes.set(
        xlim=(-edge, width - mesh.gap + edge),
        ylim=(height - mesh.gap + edge, -edge),
        aspect="equal",
        xticks=[],
        yticks=[],
    )
    for spine in axes.spines.values():
        spine.set_visible(False)
    cores = min(placement.cores - chip_number * chip.cores, chip.cores)
    tiles = mesh.columns * mesh.rows * mesh.across * mesh.down
    part = f", chip {chip_number}" if placement.chips > 1 else ""
    title = f"{chip.name}{part}: {cores} of {chip.cores} cores"
    if tiles < chip.cores:
        title += f" ({chip.cores - tiles} empty ones not drawn)"
    title += "; in each: population, neurons"
    axes.set_title(title + ", messages to others" * sending, fontsize=9, loc="left")
    tight = sorted({LIMITS[row.tightest] for row in utilization(placement)})
    bar = axes.figure.colorbar(colours, ax=axes, fraction=0.03, pad=0.01)
    bar.set_label("use of the tightest limit", fontsize=8)
    bar.ax.tick_params(labelsize=7)
    axes.set_xlabel(
        f"tightest: {', '.join(tight)}", fontsize=8, loc="right", color=GREY
    )
