"""Send a request to a model that is served here, and print its answer.

python scripts/send_request.py models/model1/sample-request.json
"""

import argparse
import json
import sys
import urllib.error
import urllib.request
from pathlib import Path


def main() -> int:
    parser = argparse.ArgumentParser(description="Send a request to a model that is served here; print its answer.")
    parser.add_argument("file", type=Path, help="the request, a JSON file")
    parser.add_argument("--port", type=int, default=5001, help="where make serve listens (default: %(default)s)")
    args = parser.parse_args()
    url = f"http://127.0.0.1:{args.port}/score"
    try:
        body = args.file.read_bytes()
        request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=60) as response:
            answer = json.load(response)
    except urllib.error.HTTPError as error:
        return fail(f"{url} answered {error.code}: {error.read().decode(errors='replace')}")
    except urllib.error.URLError as error:
        return fail(f"{url}: {error.reason}. Is the model served? make serve")
    except OSError as error:
        return fail(f"{args.file}: {error.strerror or error}")
    print(json.dumps(answer, indent=2, ensure_ascii=False))
    return 0


def fail(message: str) -> int:
    print(f"ERROR: {message}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
