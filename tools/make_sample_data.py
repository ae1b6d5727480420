"""Write the sample table of the rendered project: customers of a telephone company, some of whom left.

    python tools/make_sample_data.py > templates/data/customers.csv

The same seed gives the same bytes on every Python, so a test can hold the committed file against this.
"""

import csv
import io
import math
import random
import sys

ROWS = 2000
SEED = 20
COLUMNS = (
    "tenure_months",
    "monthly_fee",
    "support_calls",
    "data_gb",
    "contract",
    "payment",
    "region",
    "churned",
)


def customer(rng: random.Random) -> dict[str, object]:
    """Draw one customer. Short contracts, many calls and high fees make leaving likelier; much data makes fees high."""
    contract = rng.choices(["monthly", "yearly", "two-year"], [55, 30, 15])[0]
    tenure = min(72, int(rng.expovariate(1 / 24)) + 1)
    calls = min(12, int(rng.expovariate(1 / 1.8)))
    discount = 14 * rng.random()
    payment = rng.choices(["card", "transfer", "invoice"], [50, 30, 20])[0]
    data = round(rng.expovariate(1 / 9), 1)
    fee = round(37 + 1.8 * min(data, 25) + {"monthly": 8, "yearly": 3, "two-year": 0}[contract] - discount, 2)
    odds = -2.3 + 0.55 * calls + 0.025 * fee - 0.05 * tenure
    odds += {"monthly": 0.9, "yearly": -0.6, "two-year": -1.6}[contract] + (0.5 if payment == "invoice" else 0)
    row: dict[str, object] = {
        "tenure_months": tenure,
        "monthly_fee": fee,
        "support_calls": calls,
        "data_gb": data,
        "contract": contract,
        "payment": payment,
        "region": rng.choice(["north", "south", "east", "west"]),
        "churned": "yes" if rng.random() < 1 / (1 + math.exp(-odds)) else "no",
    }
    # Real tables have holes: usage is not measured for everybody, payment is sometimes unknown.
    if rng.random() < 0.06:
        row["data_gb"] = ""
    if rng.random() < 0.04:
        row["payment"] = ""
    return row


def table(rows: int = ROWS, seed: int = SEED) -> str:
    """Return the table as CSV text."""
    rng = random.Random(seed)
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(customer(rng) for _ in range(rows))
    return text.getvalue()


if __name__ == "__main__":
    sys.stdout.write(table())
