"""Makes the benchmark's lake: 8 Delta tables, 24 columns, 1,000 Zipf groups, the same every time.

Every value is a hash of the row's ``id``, so a lake depends on its parameters alone: not on the
number of cores, the partitioning or the session's settings.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

from pyspark.sql import DataFrame, SparkSession

GENERATOR = 2  # another number makes another lake, so that older ones are not taken for it
GROUPS = 1000
TEXT_LENGTH = 2048
ROWS_PER_FILE = 500_000
SHARES = {
    "web": 30,
    "app": 22,
    "shop": 16,
    "mail": 12,
    "phone": 8,
    "kiosk": 6,
    "fair": 4,
    "post": 2,
}
"""Per cent of the rows in each source."""


def bits(salt: str) -> str:
    """64 bits out of the row's id."""
    return f"xxhash64(id, '{salt}')"


def below(n: int, salt: str) -> str:
    """A bigint of at least 0 and less than ``n``."""
    return f"pmod({bits(salt)}, {n}L)"


def unit(salt: str) -> str:
    """A double of at least 0 and less than 1."""
    return f"(shiftrightunsigned({bits(salt)}, 11) / 9007199254740992D)"


# 1001^u with u uniform has a density like 1/x: Zipf's law with exponent 1 over 1 to 1,000.
ZIPF = f"cast(floor(pow({GROUPS + 1}D, {unit('label')})) as int)"
HEAVY = f"if({unit('heavy')} < 0.9, 1, {ZIPF})"

COLUMNS = {
    "user_id": below(2_000_000, "user"),
    "item_id": below(300_000, "item"),
    "session_id": bits("session"),
    "bytes": below(1_000_000_000, "bytes"),
    # One row in 100,003 is wrong: what the recipe's expectation sets aside.
    "quantity": f"cast(if(id % 100003 = 17, -1, {below(1000, 'quantity')}) as int)",
    "age": f"cast(18 + {below(72, 'age')} as int)",
    "score": unit("score"),
    "price": f"-50D * ln(1D - {unit('price')})",
    "latitude": f"180D * {unit('latitude')} - 90D",
    "longitude": f"360D * {unit('longitude')} - 180D",
    "rating": f"if({below(10, 'rated')} = 0, null, 5D * {unit('rating')})",
    "amount": f"cast({below(10_000_000, 'amount')} / 100 as decimal(12, 2))",
    "tax": f"cast({below(1_000_000_000, 'tax')} / 1000000 as decimal(18, 6))",
    "country": f"concat('country ', {below(60, 'country')})",
    "device": f"element_at(array('phone', 'tablet', 'laptop', 'tv', 'watch'), "
    f"cast(1 + {below(5, 'device')} as int))",
    "status": f"element_at(array('new', 'paid', 'sent', 'back'), "
    f"cast(1 + {below(4, 'status')} as int))",
    "url": f"concat('https://example.org/', hex({bits('url')}))",
    "token": "md5(cast(id as string))",
    "event_time": f"timestamp_micros(1600000000000000L + {below(10**14, 'event')})",
    "created_at": f"timestamp_micros(1500000000000000L + {below(10**14, 'created')})",
    "active": f"{below(3, 'active')} > 0",
    "birth_date": f"date_add(date'1940-01-01', cast({below(24_000, 'birth')} as int))",
}


def _text() -> str:
    # Base64 of SHA-512 leaves a page compressor nothing to find, unlike hexadecimal digits.
    pieces = ", ".join(
        f"substr(base64(unhex(sha2(concat(id, ' {i}'), 512))), 1, 86)" for i in range(24)
    )
    return f"substr(concat({pieces}), 1, {TEXT_LENGTH})"


@dataclass(frozen=True)
class Lake:
    """The tables of one set of parameters, below one folder."""

    folder: Path
    rows: int
    text: bool = False
    heavy: bool = False

    @property
    def path(self) -> Path:
        """The folder of the tables, named by the parameters."""
        marks = ("-text" if self.text else "") + ("-heavy" if self.heavy else "")
        return self.folder / f"lake-{self.rows}{marks}-g{GENERATOR}"

    @property
    def tables(self) -> dict[str, str]:
        """Path of each source's table."""
        return {name: str(self.path / name) for name in SHARES}

    def make(self, spark: SparkSession) -> bool:
        """Write the tables unless they are there; says whether it wrote."""
        done = self.path / "done.json"
        if done.exists():
            return False
        ends = [self.rows * share // 100 for share in accumulate(SHARES.values())]
        for table, start, end in zip(self.tables.values(), [0, *ends], ends, strict=False):
            self._rows(spark, start, end).write.format("delta").mode("overwrite").save(table)
        done.write_text(json.dumps({"rows": self.rows, "columns": len(COLUMNS) + 2 + self.text}))
        return True

    def _rows(self, spark: SparkSession, start: int, end: int) -> DataFrame:
        files = -(-(end - start) // ROWS_PER_FILE)
        label = f"concat('g', lpad(cast({HEAVY if self.heavy else ZIPF} as string), 4, '0'))"
        columns = {"id": "id", "label": label, **COLUMNS}
        if self.text:
            columns["text"] = _text()
        return spark.range(start, end, 1, max(files, 1)).selectExpr(
            *[f"{expression} as {name}" for name, expression in columns.items()]
        )
