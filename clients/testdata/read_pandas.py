"""The lake read by pandas."""
import pandas

from lake import CLEAN, METRIC, RAW_FILES, answer

raw = pandas.concat(pandas.read_json(f, lines=True, dtype=False) for f in RAW_FILES)
clean = pandas.concat(pandas.read_parquet(f, dtype_backend="pyarrow") for f in CLEAN)
metric = pandas.concat(pandas.read_parquet(f, dtype_backend="pyarrow") for f in METRIC)

clean = clean.assign(number_of_tags=clean["tags"].map(len), is_image=clean["media"] == "image", milliseconds=clean["posted_at"].map(lambda t: t.value // 10**6))
answer(
    version=pandas.__version__,
    raw=raw.groupby("category").agg(rows=("category", "size"), index=("index", "sum"), offsets=("_offset", "sum")).itertuples(),
    clean=clean.groupby("category").agg(rows=("category", "size"), followers=("follower_count", "sum"), tags=("number_of_tags", "sum"),
                                        images=("is_image", "sum"), newest=("milliseconds", "max")).itertuples(),
    metric=metric.groupby("category").agg(posts=("count", "sum"), images=("count_2", "sum"), followers=("sum_follower_count", "sum"),
                                          most=("max_follower_count", "max")).itertuples(),
)
