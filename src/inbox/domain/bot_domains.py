"""Endings by which phones make a bare name a link: all countries, and the general ones that are in use."""

from typing import Final

_COUNTRIES: Final = """
ac ad ae af ag ai al am ao aq ar as at au aw ax az ba bb bd be bf bg bh bi bj bm bn bo br bs bt bv bw by bz ca cc cd cf
cg ch ci ck cl cm cn co cr cu cv cw cx cy cz de dj dk dm do dz ec ee eg er es et eu fi fj fk fm fo fr ga gb gd ge gf gg
gh gi gl gm gn gp gq gr gs gt gu gw gy hk hm hn hr ht hu id ie il im in io iq ir is it je jm jo jp ke kg kh ki km kn kp
kr kw ky kz la lb lc li lk lr ls lt lu lv ly ma mc md me mg mh mk ml mm mn mo mp mq mr ms mt mu mv mw mx my mz na nc ne
nf ng ni nl no np nr nu nz om pa pe pf pg ph pk pl pm pn pr ps pt pw py qa re ro rs ru rw sa sb sc sd se sg sh si sj sk
sl sm sn so sr ss st su sv sx sy sz tc td tf tg th tj tk tl tm tn to tr tt tv tw tz ua ug uk us uy uz va vc ve vg vi vn
vu wf ws ye yt za zm zw
"""
_GENERAL: Final = """
academy agency aero app art asia audio bank bar best bet bid bike bio biz black blog blue boo bot boutique buzz cab cafe
cam camp care casa cash casino cat center chat city click clinic cloud club codes coffee com community company coop cool
credit cyou dad date day deal deals delivery dev digital direct directory download edu email energy events example
exchange expert express family fans farm fashion finance financial fit foo forum foundation fun fund fyi gallery games
gift gifts global gmbh gold gov group guide guru health help homes host hosting hotel house icu immo inc info ing
institute insure int international invest invalid ist jobs kim land lat law legal life limo link live loan loans lol
london ltd market marketing mba media men mil mobi moe money monster mov name nature net network news ngo ninja nexus
one ong onion online ooo org page paris partners party pay photo photos pics pink pizza place plus poker press pro
promo pub quest racing red rent repair report rest restaurant review reviews rip rocks run sale sarl school science sbs
services sexy shoes shop show site ski social software solar solutions space store stream studio style support surf
systems tattoo tax team tech technology tel test tickets tips today tools top tours town toys trade trading training
travel tube university uno vacations ventures vet video vip vision vodka vote voyage watch web webcam website wedding
wiki win wine work works world wtf xxx xyz yoga zip zone localhost local internal
"""

TOP_LEVEL: Final = frozenset(f"{_COUNTRIES} {_GENERAL}".split())
