"""Style sheet of the report page."""

from __future__ import annotations

from stvg_jax.grounding.inference.draw.pixels import BOX_COLOUR, TRUTH_COLOUR


def _css(colour: tuple[int, int, int]) -> str:
    return "#" + "".join(f"{part:02x}" for part in colour)


STYLE = (
    f":root {{ --predicted: {_css(BOX_COLOUR)}; --true: {_css(TRUTH_COLOUR)}; }}"
    """
:root { color-scheme: light dark; --ink: #1b1f24; --soft: #667078; --paper: #fff; --card: #f6f7f8; --line: #dde1e4; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e8eaec; --soft: #98a2aa; --paper: #16191c; --card: #1f2327; --line: #343a40; }
}
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 1280px; padding: 28px 24px 60px; background: var(--paper); color: var(--ink);
  font: 15px/1.45 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
h1 { font-size: 26px; margin: 0 0 4px; }
h2 { font-size: 20px; margin: 40px 0 12px; }
h2 small, .about, .note, figcaption, .facts { color: var(--soft); font-size: 13px; font-weight: 400; }
p { margin: 4px 0; }
.about { margin: 0 0 20px; overflow-wrap: anywhere; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; margin: 18px 0 4px; font-variant-numeric: tabular-nums; }
caption { text-align: left; font-weight: 600; padding-bottom: 6px; }
th, td { padding: 3px 12px; text-align: right; white-space: nowrap; }
th[scope=row], thead th:first-child { text-align: left; padding-left: 0; font-weight: 400; }
thead th { font-weight: 500; color: var(--soft); font-size: 13px; }
thead tr:last-child th { border-bottom: 1px solid var(--line); }
th[scope=colgroup] { text-align: center; }
tr.ours th, tr.ours td { font-weight: 650; border-top: 1px solid var(--line); }
tr.ours ~ tr.ours th, tr.ours ~ tr.ours td { border-top: 0; }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(280px, 1fr)); gap: 24px; margin-top: 24px; }
figure { margin: 0; }
figcaption { text-align: center; }
svg { display: block; }
svg text { fill: var(--soft); font-size: 11px; }
.charts svg { width: 100%; }
.bar { fill: #6b8fb5; } .axis { stroke: var(--line); } .mean { stroke: var(--ink); stroke-dasharray: 3 3; }
.case { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 14px 18px 16px;
  margin: 0 0 18px; break-inside: avoid; }
.head { display: flex; gap: 24px; justify-content: space-between; align-items: baseline; flex-wrap: wrap; }
.sentence { font-size: 18px; flex: 1 1 480px; overflow-wrap: anywhere; }
mark { background: none; color: inherit; text-decoration: underline; text-decoration-color: var(--predicted);
  text-decoration-thickness: 2px; text-underline-offset: 4px; }
.measures { display: flex; gap: 18px; color: var(--soft); font-size: 13px; font-variant-numeric: tabular-nums; }
.measures b { color: var(--ink); font-size: 17px; }
.frames { display: grid; grid-auto-flow: column; grid-auto-columns: minmax(0, 240px); gap: 8px; margin-top: 12px; }
.frames svg { width: 100%; border-radius: 4px; background: #000; }
.frames rect { fill: none; vector-effect: non-scaling-stroke; }
.frames .rim { stroke: rgb(0 0 0 / .55); stroke-width: 4.5px; }
.frames .predicted { stroke: var(--predicted); stroke-width: 2.5px; }
.frames .unclaimed { stroke: #fff; stroke-width: 1.5px; stroke-dasharray: 2 4; }
.frames .true { stroke: var(--true); stroke-width: 2.5px; stroke-dasharray: 7 4; }
i.true, i.predicted { display: inline-block; width: 9px; height: 9px; border-radius: 50%; margin-left: 3px; }
i.true { background: var(--true); } i.predicted { background: var(--predicted); }
.timeline { display: grid; grid-template-columns: 150px 1fr; gap: 2px 10px; margin-top: 10px; align-items: center; }
.timeline .label { font-size: 12px; color: var(--soft); text-align: right; line-height: 1.3; }
.timeline .track { fill: var(--line); opacity: .55; }
.timeline rect.true { fill: var(--true); } .timeline rect.predicted { fill: var(--predicted); }
.timeline polyline { fill: none; stroke-width: 1.6px; vector-effect: non-scaling-stroke; }
polyline.actioness { stroke: #3b82c4; } span.actioness { color: #3b82c4; }
polyline.sampling { stroke: #e08a1e; } span.sampling { color: #e08a1e; }
.shown { stroke: var(--ink); stroke-width: 2; }
.facts { margin-top: 8px; overflow-wrap: anywhere; }
@media (max-width: 700px) { .frames { grid-auto-flow: row; grid-template-columns: repeat(3, 1fr); }
  .timeline { grid-template-columns: 92px 1fr; } }
"""
)
