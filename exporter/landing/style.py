"""How the page for people looks: light and dark as the reader likes it, and stacked where the window is narrow."""

from __future__ import annotations

STYLE = """
:root{color-scheme:light dark;--page:#f6f7f9;--card:#fff;--text:#1b1f24;--weak:#545d68;--line:#d5dae0;--link:#0a50ad;
--bad:#a1101f;--bad-back:#fde8e8;--mild:#754700;--mild-back:#fdf1d3;--good:#17602c;--good-back:#e0f5e5;--well:#eceff3;
--k0:#2f6fd0;--k1:#7a4fd0;--k2:#a86a00;--k3:#1f7f43;--k4:#0d7a87;--k5:#6b7480}
@media(prefers-color-scheme:dark){:root{--page:#0e1217;--card:#161c23;--text:#e4e9ef;--weak:#9ba7b4;--line:#2c353f;
--link:#82b8ff;--bad:#ffb0aa;--bad-back:#481a1d;--mild:#f2cd7c;--mild-back:#3a2e10;--good:#8fdea5;--good-back:#14331f;
--well:#202831;--k0:#5c9dff;--k1:#b48bff;--k2:#dc9f2f;--k3:#4cbd72;--k4:#3cbccb;--k5:#8d98a5}}
*{box-sizing:border-box}
body{margin:0 auto;max-width:100rem;padding:1rem;background:var(--page);color:var(--text);
font:14px/1.45 system-ui,-apple-system,"Segoe UI",Roboto,"Liberation Sans",sans-serif}
a{color:var(--link)}
:focus-visible{outline:3px solid var(--link);outline-offset:2px}
.skip{position:absolute;left:1rem;top:-10rem;padding:.5rem 1rem;background:var(--card)}
.skip:focus{top:.5rem}
h1{margin:0;font-size:1rem;font-weight:600;color:var(--weak)}
h2{margin:1.5rem 0 .5rem;font-size:1.05rem}
h3{margin:0 0 .6rem;font-size:1rem;font-weight:600;overflow-wrap:anywhere}
.headline{list-style:none;margin:.3rem 0 .6rem;padding:0;display:flex;flex-wrap:wrap;gap:.5rem;font-size:1.25rem;
font-weight:600;line-height:1.3}
.headline li{padding:.3rem .8rem;border-radius:.4rem}
.headline a{color:inherit;text-decoration-thickness:1px;text-underline-offset:.2em}
nav{display:flex;flex-wrap:wrap;gap:.25rem 1rem;font-size:.9rem}
footer,.note{color:var(--weak);font-size:.9rem}
footer{margin-top:2rem}
.none,.note{margin:.3rem 0}
.none{color:var(--weak)}
.bad{color:var(--bad);background:var(--bad-back)}
.mild{color:var(--mild);background:var(--mild-back)}
.good{color:var(--good);background:var(--good-back)}
.weak{color:var(--weak);background:var(--well)}
.mark{display:inline-block;padding:0 .45rem;border-radius:.3rem;font-weight:600;overflow-wrap:anywhere}
code,pre{font:12px/1.5 ui-monospace,SFMono-Regular,Menlo,Consolas,"Liberation Mono",monospace}
small{display:block;font-size:12px;color:var(--weak)}
.card{margin:0 0 .6rem;padding:.7rem .9rem;background:var(--card);color:var(--text);border:1px solid var(--line);
border-left:4px solid var(--bad);border-radius:.4rem}
.card.mild{border-left-color:var(--mild)}
dl{display:flex;flex-wrap:wrap;gap:.4rem 1.2rem;margin:0}
.fact{flex:1 0 11.5rem;max-width:100%}
dl .wide{flex:1 0 17rem;max-width:100%}
dt,caption{font-size:12px;color:var(--weak)}
dd{margin:0;overflow-wrap:anywhere}
.hint{margin:.6rem 0 0;max-width:80ch}
summary{margin-top:.5rem;width:fit-content;cursor:pointer;color:var(--link)}
pre{margin:.3rem 0 0;padding:.3rem .6rem;background:var(--well);border-radius:.3rem;white-space:pre-wrap;
overflow-wrap:anywhere;unicode-bidi:bidi-override;user-select:all}
.box{overflow-x:auto;background:var(--card);border:1px solid var(--line);border-radius:.4rem}
table{border-collapse:collapse;width:100%}
caption{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)}
th,td{padding:.4rem .7rem;text-align:left;vertical-align:top;max-width:40ch;overflow-wrap:break-word;font-weight:400}
thead th{font-size:12px;color:var(--weak);white-space:nowrap}
tbody tr{border-top:1px solid var(--line)}
td code,th code,th bdi,td span:not(.mark,.bar){display:block}
tbody th,th bdi{font-weight:600}
td{white-space:nowrap}.wide,.bars,.uuid{white-space:normal}
.bars{min-width:13rem}
.bar{display:flex;gap:1px;height:.6rem;margin:.3rem 0;background:var(--well);border-radius:.2rem;overflow:hidden}
.bar i{min-width:2px}
dd .bar{max-width:24rem}
.key{list-style:none;margin:0;padding:0;display:flex;flex-wrap:wrap;gap:0 .9rem;font-size:12px}
.key i{display:inline-block;width:.6rem;height:.6rem;margin-right:.3rem;border-radius:.15rem}
.k0{background:var(--k0)}.k1{background:var(--k1)}.k2{background:var(--k2)}
.k3{background:var(--k3)}.k4{background:var(--k4)}.k5{background:var(--k5)}
@media(max-width:70rem){thead{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)}
table,tbody{display:block}
tbody tr{display:grid;grid-template-columns:repeat(auto-fill,minmax(8.5rem,1fr));gap:.4rem .8rem;padding:.6rem .7rem}
tbody tr:first-child{border-top:0}
th,td{display:block;min-width:0;max-width:none;padding:0;overflow-wrap:anywhere}
td:empty{display:none}
td::before{content:attr(data-head);display:block;font-size:12px;color:var(--weak)}
th,.wide,.uuid,.bars{grid-column:1/-1}.bars{min-width:0}
td{white-space:normal}}
@media(max-width:30rem){body{padding:.7rem}.headline{font-size:1.1rem}}
@media(prefers-contrast:more){:root{--weak:var(--text);--line:var(--text)}}
""".replace("\n", "")
