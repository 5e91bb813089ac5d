"""The lake read by pyarrow."""
import pyarrow
import pyarrow.compute
import pyarrow.json
import pyarrow.parquet

from lake import CLEAN, DAYS, MEDIAN, METRIC, RAW_FILES, answer


def rows(table, of, *aggregations):
    """Groups by category; each aggregation is a column and a function."""
    return (tuple(r[k] for k in ["category", *(f"{c}_{f}" for c, f in aggregations)])
            for r in table.select(of).group_by("category").aggregate(list(aggregations)).to_pylist())


def types(files):
    return {f.name: str(f.type).replace("element: ", "") for f in pyarrow.parquet.read_schema(files[0])}


raw = pyarrow.concat_tables([pyarrow.json.read_json(f) for f in RAW_FILES], promote_options="permissive")
clean = pyarrow.concat_tables([pyarrow.parquet.ParquetFile(f).read() for f in CLEAN])
metric = pyarrow.concat_tables([pyarrow.parquet.ParquetFile(f).read() for f in METRIC])
compute = pyarrow.compute
clean = (clean.append_column("number_of_tags", compute.list_value_length(clean["tags"]))
         .append_column("is_image", compute.equal(clean["media"], "image"))
         .append_column("milliseconds", compute.divide(clean["posted_at"].cast(pyarrow.int64()), 1000)))
answer(
    version=pyarrow.__version__,
    raw=rows(raw, ["category", "index", "_offset"], ("category", "count"), ("index", "sum"), ("_offset", "sum")),
    clean=rows(clean, ["category", "follower_count", "number_of_tags", "is_image", "milliseconds"], ("category", "count"), ("follower_count", "sum"),
               ("number_of_tags", "sum"), ("is_image", "sum"), ("milliseconds", "max")),
    metric=rows(metric, ["category", "count", "count_2", "sum_follower_count", "max_follower_count"], ("count", "sum"), ("count_2", "sum"),
                ("sum_follower_count", "sum"), ("max_follower_count", "max")),
    types={"posts": types(CLEAN), "category_popularity": types(METRIC), "followers_by_category": types(MEDIAN), "category_by_day": types(DAYS)},
)
