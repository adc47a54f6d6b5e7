"""Known vulnerabilities of what is installed, by pip-audit; part of `make lint` where the network allows.

    python tests/dependency_audit.py [--strict]

Never fails a build by default, for an advisory that came out today is no fault of today's change: it prints what is
known, or that nothing could be asked. With --strict a vulnerability is exit status 1, and so is an audit that could
not be made.
"""

import argparse
import json
import subprocess
import sys
import urllib.request
from importlib.util import find_spec
from typing import Any

PROBE = "https://pypi.org/pypi/pip/json"
SECONDS = 5


def _reachable() -> bool:
    """Whether the advisories can be asked for: some networks have packages and nothing else."""
    try:
        with urllib.request.urlopen(PROBE, timeout=SECONDS) as answer:
            return "vulnerabilities" in json.load(answer)
    except (OSError, ValueError):
        return False


def _audit() -> dict[str, Any] | None:
    """pip-audit's report, None where it could not be made."""
    command = [sys.executable, "-m", "pip_audit", "--local", "--skip-editable", "--progress-spinner", "off"]
    try:
        done = subprocess.run([*command, "--format", "json"], capture_output=True, text=True, timeout=300, check=False)
        report: dict[str, Any] = json.loads(done.stdout)
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return None
    return report


def main() -> int:
    """Audit, and say what came of it in a few lines."""
    parser = argparse.ArgumentParser(description="known vulnerabilities of what is installed")
    parser.add_argument("--strict", action="store_true")
    strict = parser.parse_args().strict
    report = _audit() if find_spec("pip_audit") is not None and _reachable() else None
    audited = sum("skip_reason" not in entry for entry in report["dependencies"]) if report else 0
    if report is None or not audited:
        print("dependency audit: skipped, pip-audit or its advisories cannot be reached from here")
        return int(strict)
    found = [entry for entry in report["dependencies"] if entry.get("vulns")]
    for entry in found:
        for known in entry["vulns"]:
            fixed = ", ".join(known["fix_versions"]) or "none yet"
            print(f"dependency audit: {entry['name']} {entry['version']}: {known['id']}, fixed in {fixed}")
    print(f"dependency audit: {audited} packages, {len(found)} with known vulnerabilities")
    return int(strict and bool(found))


if __name__ == "__main__":
    sys.exit(main())
