"""The page's style sheet."""

STYLE = """
:root { --ink: #1d2733; --soft: #5d6a78; --line: #dde3ea; --back: #f5f7f9; --accent: #2f6db5; }
* { box-sizing: border-box; }
body { margin: 0; background: var(--back); color: var(--ink); font: 15px/1.5 system-ui, "Segoe UI", sans-serif; }
main { max-width: 1120px; margin: 0 auto; padding: 24px 20px 60px; }
h1 { font-size: 26px; margin: 0 0 2px; } h2 { font-size: 19px; margin: 0 0 10px; }
h3 { font-size: 15px; margin: 16px 0 6px; }
p { margin: 4px 0 10px; } .soft { color: var(--soft); } a { color: var(--accent); }
section { background: white; border: 1px solid var(--line); border-radius: 8px; padding: 18px 20px; margin-top: 16px; }
nav { margin: 10px 0 0; } nav a { margin-right: 14px; white-space: nowrap; }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(300px, 1fr)); gap: 14px; margin-top: 16px; }
.cards section { margin: 0; padding: 14px 16px; } .cards h2 { font-size: 14px; color: var(--soft); }
.cards .big { font-size: 24px; font-weight: 650; line-height: 1.25; } .cards p { margin: 2px 0 6px; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; margin: 6px 0 10px; }
th, td { padding: 4px 12px 4px 0; text-align: right; border-bottom: 1px solid var(--line); }
th:first-child, td:first-child, .words td { text-align: left; } thead th { color: var(--soft); font-weight: 600; }
tbody th { font-weight: 500; }
.members td { padding: 2px 5px; border: 1px solid white; color: white; font-size: 12px; text-align: center; }
.members td { min-width: 34px; }
.members th { padding: 2px 8px 2px 0; font-size: 13px; white-space: nowrap; } .members td.none { color: var(--soft); }
.members td.note { color: var(--ink); text-align: left; border: 0; white-space: nowrap; }
.key { display: inline-block; width: 12px; height: 12px; border-radius: 3px; margin: 0 5px 0 12px; vertical-align: -1px; }
.strip { display: flex; gap: 14px; overflow-x: auto; padding-bottom: 8px; }
figure { margin: 0; flex: 0 0 auto; } figcaption { color: var(--soft); font-size: 13px; }
.strip img { height: 300px; border: 1px solid var(--line); } .large img { height: 460px; max-width: 100%; }
.charts { display: grid; grid-template-columns: repeat(auto-fill, minmax(440px, 1fr)); gap: 10px; }
.charts img, img.wide { width: 100%; }
.bars { display: grid; grid-template-columns: max-content 1fr max-content; gap: 4px 12px; align-items: center; }
.bars i { display: block; height: 14px; background: var(--accent); border-radius: 3px; min-width: 1px; }
pre { overflow-x: auto; background: var(--back); padding: 12px; border-radius: 6px; font-size: 13px; }
.warn { color: #a33a1c; }
""".strip()
