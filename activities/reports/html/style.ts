/**
 * The page's style sheet: light and dark, wide and narrow, and A4. Nothing in it asks for anything outside of the page.
 */
export const style = `
:root{color-scheme:light;--page:#fff;--card:#f6f8fa;--ink:#1b1f24;--quiet:#57606a;--line:#d4dae0;--work:#2563a8;--waiting:#f2b632;--waiting-ink:#8a5a00;--failed:#c62828;--failed-ink:#fff;--rehearsed:#cfe0f3;--good:#1a7f37;--bad:#b3261e;--loud:#ffd84d;--loud-ink:#1b1400;--track:#e3e8ed;--link:#0a58ca}
@media screen and (prefers-color-scheme:dark){:root{color-scheme:dark;--page:#0f1419;--card:#171d24;--ink:#e6eaee;--quiet:#9aa5b1;--line:#303a45;--work:#5b9fe8;--waiting:#e0a526;--waiting-ink:#4d3500;--failed:#ef5350;--failed-ink:#2b0000;--rehearsed:#24405e;--good:#4fbf6b;--bad:#ff7b72;--loud:#ffd84d;--loud-ink:#1b1400;--track:#29323c;--link:#7db6ff}}
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%}
body{margin:0;background:var(--page);color:var(--ink);font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif;print-color-adjust:exact;-webkit-print-color-adjust:exact}
main,.foot{max-width:1080px;margin:0 auto;padding:0 24px}
a{color:var(--link)}
.loud{background:repeating-linear-gradient(135deg,var(--loud) 0 22px,#f5c518 22px 44px);color:var(--loud-ink);text-align:center;padding:18px 24px;border-bottom:4px solid #1b1400}
.loud strong{display:block;font-size:34px;line-height:1.1;letter-spacing:.14em}
.loud span{display:block;max-width:760px;margin:6px auto 0;font-weight:600}
header{padding:30px 0 6px}
.kicker{margin:0;color:var(--quiet);font-size:13px;overflow-wrap:anywhere}
h1{margin:2px 0 10px;font-size:29px;line-height:1.2;letter-spacing:-.01em;overflow-wrap:anywhere}
h2{margin:34px 0 10px;font-size:19px;border-bottom:1px solid var(--line);padding-bottom:5px}
h3{margin:0;font-size:15px}
p,ul,dl{margin:0 0 10px}
ul.plain{padding-left:20px}
.opening{font-size:17px;line-height:1.55;max-width:62em}
.opening p{margin:0 0 6px;overflow-wrap:anywhere}
.state{display:inline-block;margin:0 0 12px;padding:3px 12px;border:2px solid currentColor;border-radius:99px;font-weight:700;font-size:14px}
.good{color:var(--good)}.bad{color:var(--bad)}
.quiet{color:var(--quiet);font-weight:400}
.cards{display:grid;grid-template-columns:1fr 1fr;gap:16px;margin:20px 0}
.card{background:var(--card);border:1px solid var(--line);border-left:6px solid var(--quiet);border-radius:8px;padding:14px 18px 10px;break-inside:avoid}
.card.met{border-left-color:var(--good)}.card.missed{border-left-color:var(--bad)}
.card .figure{margin:2px 0 0;font-size:28px;font-weight:700;line-height:1.25}
.card .verdict{display:flex;flex-wrap:wrap;justify-content:space-between;gap:0 12px;margin:0 0 4px}
.card.met .verdict strong{color:var(--good)}.card.missed .verdict strong{color:var(--bad)}
.card .key{display:inline-block;vertical-align:-2px}
.card .note{font-size:13.5px;margin:4px 0 4px;overflow-wrap:anywhere}
svg{display:block;overflow:visible}
.bar .track{fill:var(--track)}.met .value{fill:var(--good)}.missed .value{fill:var(--bad)}.met .value{stroke:var(--good)}.missed .value{stroke:var(--bad)}
.objective{stroke:var(--ink);stroke-width:2.5}
.facts{display:grid;grid-template-columns:max-content 1fr;gap:5px 20px}
.facts dt{color:var(--quiet)}.facts dd{margin:0;overflow-wrap:anywhere}
code{font:13px/1.5 ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace;overflow-wrap:anywhere}
table{border-collapse:collapse;width:100%;font-size:14px}
th{text-align:left;color:var(--quiet);font-weight:600;border-bottom:2px solid var(--line);padding:5px 12px 5px 0;vertical-align:bottom}
td,tbody th{padding:7px 12px 7px 0;border-bottom:1px solid var(--line);vertical-align:top;overflow-wrap:anywhere}
tbody th{color:var(--ink);font-weight:600}
.num{text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums}
thead th{white-space:nowrap}
td .good,td strong.bad{white-space:nowrap}
.steps thead th:first-child{width:46%}
tr{break-inside:avoid}
thead{display:table-header-group}
.text{white-space:pre-line}
table+p{margin-top:9px}
.num+td:not(.num),.num+th:not(.num){padding-left:14px}
.tag{display:inline-block;font-style:normal;font-size:11.5px;font-weight:700;line-height:1.35;padding:0 7px;border:1px dashed currentColor;border-radius:99px;white-space:nowrap}
.tag.rehearsed,.gantt .tag{color:var(--work)}.gantt .tag.bad,.tag.bad{color:var(--bad)}
.problem,.warning{border-left:4px solid var(--bad);padding:3px 0 3px 12px;margin:6px 0;overflow-wrap:anywhere}
.warning{border-left-color:var(--waiting)}
.problem p{margin:0}
.step-more{font-weight:400;margin:5px 0 0;padding-left:18px;font-size:13.5px;color:var(--quiet)}
.legend{display:flex;flex-wrap:wrap;gap:4px 20px;list-style:none;padding:0;font-size:13px;color:var(--quiet)}
.legend li{display:flex;align-items:center;gap:7px}
.row{display:grid;grid-template-columns:minmax(130px,230px) minmax(0,1fr) 74px;gap:0 14px;align-items:center;border-bottom:1px solid var(--line);min-height:26px;break-inside:avoid;font-size:14px}
.row .name{overflow-wrap:anywhere;line-height:1.3;padding:3px 0}
.row .took{text-align:right;font-variant-numeric:tabular-nums;font-size:13px;white-space:nowrap}
.axis,.axis .took{color:var(--quiet);font-size:12px}
.axis text{font-size:12px;fill:var(--quiet);text-anchor:middle;font-variant-numeric:tabular-nums}
.axis text.first{text-anchor:start}.axis .clock{font-size:11px}
.hover{fill:transparent}.row:hover .hover{fill:var(--card)}
.grid{stroke:var(--line);stroke-width:1}
.part{stroke-width:3;paint-order:stroke}
.work{fill:var(--work);stroke:var(--work)}
.rehearsed.part{fill:url(#hatch-rehearsed);stroke:var(--work);stroke-width:1.5}
.failed{fill:url(#hatch-failed);stroke:var(--failed)}
.waiting{fill:url(#hatch-waiting);stroke:var(--waiting)}
.skipped{fill:var(--page);stroke:var(--quiet);stroke-width:1.5;stroke-dasharray:3 2}
.by-hand{fill:var(--quiet);stroke:var(--quiet)}
.fill-waiting{fill:var(--waiting)}.ink{fill:var(--waiting-ink);opacity:.55}.fill-failed{fill:var(--failed)}.cross{stroke:var(--failed-ink);stroke-width:.8;opacity:.8}.fill-rehearsed{fill:var(--rehearsed)}.dot{fill:var(--work)}
.mark-objective{stroke:var(--bad);stroke-width:2;stroke-dasharray:5 3}
.mark-recovered{stroke:var(--good);stroke-width:2}
.defs{position:absolute}
.tasks{list-style:none;padding:0}.tasks li{padding:4px 0;border-bottom:1px solid var(--line)}
.foot{margin-top:36px;padding-top:12px;padding-bottom:34px;color:var(--quiet);font-size:13px;overflow-wrap:anywhere}
@media screen and (max-width:700px){
main,.foot{padding-left:16px;padding-right:16px}
.cards{grid-template-columns:1fr}
h1{font-size:24px}.opening{font-size:16px}.loud strong{font-size:27px}
td,th,tbody th{padding-right:6px}.facts{grid-template-columns:1fr;gap:0}.facts dd{margin-bottom:8px}
.row{grid-template-columns:1fr auto;padding:4px 0}.row .track{grid-column:1/-1;grid-row:2}
.axis .name{font-size:12px}
table.stack thead{position:absolute;clip-path:inset(50%);width:1px;height:1px;overflow:hidden}
table.stack,table.stack tbody,table.stack tr,table.stack td,table.stack tbody th{display:block;width:100%}
table.stack tr{border-bottom:2px solid var(--line);padding:8px 0}
table.stack tr td:nth-child(n),table.stack tbody tr th:nth-child(n){border:0;padding:2px 0;text-align:left;white-space:normal}
table.stack td br{display:none}table.stack td .local::before{content:"("}table.stack td .local::after{content:" " attr(title) ")"}
table.stack td:empty{display:none}
table.stack td[data-label]::before{content:attr(data-label) ": ";color:var(--quiet)}
}
@page{size:A4;margin:15mm 14mm 17mm}
@media print{
body{font-size:10.5pt}main,.foot{max-width:none;padding:0}
header{padding-top:8px}h1{font-size:20pt}h2{margin-top:18px;break-after:avoid}.opening{font-size:11.5pt}
table{font-size:9.5pt}code{font-size:8.5pt}.row{font-size:9.5pt;grid-template-columns:150px minmax(0,1fr) 62px}
.loud strong{font-size:26pt}a{color:inherit}.cards{margin:12px 0}
}
`;
