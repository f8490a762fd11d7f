"""The one style sheet of the report and of the notebooks' pages: calm type, light and dark.

It is Python text, not a file beside it, so that the code fingerprint sees a change of it.
"""

from __future__ import annotations

STYLE_SHEET = """
:root {
  color-scheme: light dark;
  --paper: #fcfbf8; --panel: #f4f2ec; --ink: #22262b; --muted: #666d75; --rule: #dfdbd2;
  --accent: #0d6aa8; --gain: #17734a; --loss: #a63a24; --tile: #ffffff;
  --shade: color-mix(in srgb, var(--ink) 30%, transparent);
  --serif: Charter, "Bitstream Charter", "Iowan Old Style", "Palatino Linotype", Palatino, Georgia,
    "Source Serif 4", "Noto Serif", "Liberation Serif", "DejaVu Serif", serif;
  --sans: system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", "DejaVu Sans", sans-serif;
  --mono: ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #15181c; --panel: #1c2025; --ink: #e3e1db; --muted: #9aa1a9; --rule: #30353c;
    --accent: #74b7e8; --gain: #62c394; --loss: #ea8d75; --tile: #23282e;
  }
}
* { box-sizing: border-box; }
html { scroll-behavior: smooth; -webkit-text-size-adjust: 100%; }
@media (prefers-reduced-motion: reduce) { html { scroll-behavior: auto; } }
body {
  margin: 0; background: var(--paper); color: var(--ink);
  font: 1.0625rem/1.62 var(--serif); text-rendering: optimizeLegibility;
}
a { color: var(--accent); text-decoration-thickness: 0.06em; text-underline-offset: 0.18em; }
a:focus-visible, summary:focus-visible, .scroll:focus-visible { outline: 2px solid var(--accent); outline-offset: 3px; }

.layout { max-width: 80rem; margin: 0 auto; padding: 0 1.5rem 6rem; }
main { min-width: 0; max-width: 60rem; }
main > p, main > ul, .prose { max-width: 42rem; }
nav.contents { font: 0.875rem/1.5 var(--sans); padding-top: 1.5rem; }
nav.contents ol { list-style: none; margin: 0; padding: 0; display: flex; flex-wrap: wrap; gap: 0.2rem 1.1rem; }
nav.contents a { color: var(--muted); text-decoration: none; }
nav.contents a:hover, nav.contents a[aria-current] { color: var(--accent); }
@media (min-width: 68rem) {
  .layout { display: grid; grid-template-columns: 12rem minmax(0, 1fr); gap: 3rem; }
  nav.contents { position: sticky; top: 0; align-self: start; padding-top: 5.2rem; max-height: 100vh; overflow: auto; }
  nav.contents ol { display: block; border-left: 1px solid var(--rule); }
  nav.contents li { padding: 0.22rem 0 0.22rem 1rem; }
}

header.title { padding: 4rem 0 0.5rem; }
.kicker { margin: 0; font: 600 0.8rem/1.4 var(--sans); letter-spacing: 0.08em; text-transform: uppercase; color: var(--muted); }
.celltag_parameters { display: none; }
.text_cell:first-of-type h1 { margin-top: 4rem; }
h1 { font-size: clamp(1.7rem, 4vw, 2.25rem); line-height: 1.2; letter-spacing: -0.015em; font-weight: 600; margin: 0.5rem 0 0.8rem; text-wrap: balance; }
h2 { font-size: 1.55rem; line-height: 1.25; font-weight: 600; letter-spacing: -0.01em; margin: 4rem 0 0.6rem; padding-top: 1.4rem; border-top: 1px solid var(--rule); scroll-margin-top: 1rem; }
h3 { font-size: 1.15rem; line-height: 1.3; font-weight: 600; margin: 2.4rem 0 0.4rem; }
.anchor-link { display: none; }
td.gt_left:first-child { min-width: 8rem; }
#table-summary .gt_left { min-width: 10rem; }
#table-summary .gt_right { white-space: normal; min-width: 4.6rem; padding: 0.3rem 0.4rem; }
#table-sources .gt_left { min-width: 7rem; }
#table-artifacts table { font-size: 0.76rem; }
#table-artifacts :is(th, td) { padding-inline: 0.4rem; }
#table-artifacts td:first-child { overflow-wrap: anywhere; min-width: 12rem; }
#table-configuration td:last-child { overflow-wrap: anywhere; min-width: 18rem; }
#table-sources td:nth-child(3) { overflow-wrap: anywhere; min-width: 11rem; }
p { margin: 0.7rem 0; text-wrap: pretty; }
.lead { font-size: 1.2rem; line-height: 1.55; }
.quiet, .missing { color: var(--muted); font-size: 0.95rem; }
.missing { font-style: italic; }
code, pre { font-family: var(--mono); font-size: 0.84em; }

.verdicts { list-style: none; margin: 1.6rem 0 0; padding: 0; max-width: none; display: grid; gap: 0.9rem; grid-template-columns: repeat(auto-fit, minmax(9.5rem, 1fr)); font-family: var(--sans); }
.verdicts li { background: var(--panel); border-radius: 10px; padding: 0.95rem 1.1rem 0.9rem; display: flex; flex-direction: column; }
.verdicts .against { flex: 1; font-size: 0.82rem; line-height: 1.35; color: var(--muted); }
.verdicts .difference { display: block; font-size: 1.6rem; line-height: 1.35; font-weight: 600; font-variant-numeric: tabular-nums; letter-spacing: -0.02em; }
.verdicts .interval { display: block; font-size: 0.8rem; color: var(--muted); font-variant-numeric: tabular-nums; }
.verdicts .word { display: block; margin-top: 0.35rem; font-size: 0.85rem; font-weight: 600; color: var(--muted); }
.verdicts .gain .word { color: var(--gain); }
.verdicts .loss .word { color: var(--loss); }

figure { margin: 1.6rem 0 2rem; }
figcaption { margin-top: 0.6rem; max-width: 46rem; font: 0.86rem/1.5 var(--sans); color: var(--muted); }
.figure svg { display: block; width: 100%; height: auto; min-width: 34rem; max-width: 50rem; }
/* What is wider than the page scrolls; a shade at an edge tells that there is more, and goes when it is reached. */
.scroll {
  overflow-x: auto; background-repeat: no-repeat; background-attachment: local, local, scroll, scroll;
  background-size: 2.4rem 100%, 2.4rem 100%, 0.9rem 100%, 0.9rem 100%; background-position: left, right, left, right;
  background-image: linear-gradient(to right, var(--paper) 30%, transparent), linear-gradient(to left, var(--paper) 30%, transparent),
    linear-gradient(to right, var(--shade), transparent), linear-gradient(to left, var(--shade), transparent);
}
.scroll > div { overflow: visible !important; }
table { border-collapse: collapse; font: 0.86rem/1.45 var(--sans); font-variant-numeric: tabular-nums; }
.gt_table { min-width: min(100%, 34rem); border-top: 1.5px solid var(--ink); border-bottom: 1.5px solid var(--ink); }
th, td { padding: 0.3rem 0.8rem; text-align: left; vertical-align: baseline; }
th:first-child, td:first-child { padding-left: 0.2rem; }
.gt_right { text-align: right; white-space: nowrap; }
th.gt_right { white-space: normal; }
.gt_center { text-align: center; }
.gt_left { text-align: left; }
.gt_col_headings th { font-weight: 600; color: var(--muted); vertical-align: bottom; }
.gt_table_body { border-top: 1px solid var(--rule); }
.gt_table_body tr + tr td { border-top: 1px solid color-mix(in srgb, var(--rule) 55%, transparent); }
.gt_group_heading { padding-top: 1.1rem; font-weight: 600; border-bottom: 1px solid var(--rule); }
.gt_column_spanner { display: block; text-align: center; border-bottom: 1px solid var(--rule); padding-bottom: 0.15rem; }
.gt_sourcenote { padding-top: 0.7rem; color: var(--muted); }
.gt_stub { white-space: nowrap; }

a.number { color: inherit; text-decoration: none; }
a.number:hover, a.number:focus-visible { color: var(--accent); text-decoration: underline; }
.made { font: 0.82rem/1.5 var(--sans); color: var(--muted); margin-top: 0.2rem; }
.made a.number { text-decoration: underline dotted; }
.artifact { padding: 0.1rem 0.9rem 0.6rem; margin-left: -0.9rem; border-radius: 10px; font: 0.86rem/1.5 var(--sans); overflow-wrap: anywhere; scroll-margin-top: 1rem; }
.artifact:target { background: var(--panel); }
.artifact h3 { font: 600 0.95rem/1.4 var(--mono); margin: 1.3rem 0 0.2rem; }
.artifact p, .artifact ul, .artifact details { margin: 0.25rem 0; max-width: none; }
.artifact ul { list-style: none; padding: 0; display: flex; flex-wrap: wrap; gap: 0.1rem 1.2rem; }
.artifact summary { font-weight: 400; font-size: inherit; }
.artifact small { color: var(--muted); font-variant-numeric: tabular-nums; }
.artifact pre { white-space: pre-wrap; }

.pictures { display: grid; gap: 0.9rem 0.7rem; grid-template-columns: repeat(auto-fill, minmax(6.4rem, 1fr)); margin: 1.2rem 0 2rem; padding: 0; list-style: none; max-width: none; }
.pictures li, .retrieved figure { margin: 0; font: 0.76rem/1.35 var(--sans); color: var(--muted); text-align: center; overflow-wrap: anywhere; }
.pictures img, .retrieved img { display: block; width: 100%; aspect-ratio: 1; object-fit: contain; background: var(--tile); border: 1px solid var(--rule); border-radius: 8px; padding: 6%; margin-bottom: 0.35rem; }
.retrieved { display: grid; grid-template-columns: repeat(auto-fill, minmax(19rem, 1fr)); gap: 1.8rem 2.2rem; margin: 1.4rem 0 2rem; }
.retrieved section > p { margin: 0 0 0.5rem; font-style: italic; line-height: 1.35; }
.retrieved .row { display: grid; grid-template-columns: repeat(4, minmax(0, 1fr)); gap: 0.55rem; }
.retrieved figcaption { margin: 0; font-size: 0.72rem; line-height: 1.3; }
.retrieved .score { display: block; font-variant-numeric: tabular-nums; opacity: 0.75; }

.documents { margin: 1.2rem 0 2rem; max-width: 46rem; }
.documents dt { font: 600 0.82rem/1.4 var(--sans); color: var(--muted); margin-top: 1.2rem; }
.documents dd { margin: 0.25rem 0 0; padding-left: 1rem; border-left: 2px solid var(--rule); font-size: 0.97rem; line-height: 1.5; }
.documents dd + dd { margin-top: 0.6rem; }
.swatch { display: inline-block; width: 0.72em; height: 0.72em; border-radius: 50%; border: 1px solid color-mix(in srgb, var(--ink) 35%, transparent); vertical-align: -0.04em; margin-right: 0.3em; }

details { margin: 1.2rem 0; }
summary { cursor: pointer; font: 600 0.9rem/1.5 var(--sans); color: var(--accent); }
ul.notebooks { list-style: none; padding: 0; display: grid; gap: 0.6rem; grid-template-columns: repeat(auto-fit, minmax(14rem, 1fr)); max-width: none; font-family: var(--sans); font-size: 0.92rem; }
ul.notebooks a { display: block; padding: 0.8rem 1rem; background: var(--panel); border-radius: 10px; text-decoration: none; }

.input_area pre, .input pre { margin: 1.6rem 0 0.4rem; color: var(--muted); white-space: pre-wrap; line-height: 1.5; border-left: 2px solid var(--rule); padding-left: 0.9rem; }
.output_error pre, .output_stderr pre { white-space: pre-wrap; color: var(--loss); }
footer { margin-top: 4rem; padding-top: 1.2rem; border-top: 1px solid var(--rule); font: 0.85rem/1.5 var(--sans); color: var(--muted); }
@media print { nav.contents { display: none; } .layout { display: block; } }
"""
