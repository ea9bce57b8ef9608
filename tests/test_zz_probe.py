import json
from datetime import timedelta
from infra import push_lists, organisations, catalog
from infra.db import transaction
from jobs.doctor import examine

def test_p(served, engine, settings, now):
    print(served)
    with transaction(engine) as s:
        k = organisations.key_of(s, "default")
        for m in ("d1","c1","new-driver","unknown","private"):
            x = push_lists.shown(s,k,m,n=20,now=now)
            print(m, x["path"], x["language"], [(i["item_id"], i["reason"]["text"]) for i in x["items"]])
        print(push_lists.similar(s,k,"v1",n=5,now=now))
    print(examine(engine, settings, now=now))
