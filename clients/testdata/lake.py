"""Where the lake's files are, and what every reader of it is asked: the same sums of the same rows, so that they can be compared.

    raw     category: rows, sum of index, sum of _offset
    clean   category: rows, sum of follower_count, number of tags, images, the newest posted_at in Unix milliseconds
    metric  category: what category_popularity counts, of it images, sum of follower_count, the greatest of them
    types   table: column: type
"""
import glob
import json
import sys

LAKE, TOPIC = sys.argv[1:3]
RAW_FOLDER = f"{LAKE}/raw/{TOPIC}"
RAW_FILES = sorted(glob.glob(f"{RAW_FOLDER}/*/*.json.gz"))


def parts(kind, of):
    """The Parquet files that count, over all periods, as the periods' manifests name them."""
    names = []
    for manifest in sorted(glob.glob(f"{LAKE}/gen=*/_periods/*.json")):
        with open(manifest) as f:
            names += [f"{LAKE}/{p['name']}" for p in json.load(f)["parts"] if (p["kind"], p["of"]) == (kind, of)]
    return names


CLEAN = parts("clean", "posts")
METRIC = parts("metrics", "category_popularity")
MEDIAN = parts("reports", "followers_by_category")
DAYS = parts("reports", "category_by_day")


def answer(version, raw, clean, metric, types=None):
    """Prints rows of a category and numbers, and who has read them."""
    print(json.dumps({**{name: {category: [int(n) for n in numbers] for category, *numbers in rows}
                         for name, rows in {"raw": raw, "clean": clean, "metric": metric}.items()}, "types": types, "version": version}))
