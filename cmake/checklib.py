"""What the checks share: the layer table, the list of our files, and how a finding is printed."""
import pathlib
import subprocess
import sys
import tomllib

SOURCE_SUFFIXES = {".c", ".h", ".cpp"}


class Layers:
    """cmake/layers.toml: directories, what each may include, and what pure ones may call."""

    def __init__(self, root):
        with open(pathlib.Path(root) / "cmake/layers.toml", "rb") as f:
            table = tomllib.load(f)
        self.common = table.pop("common")
        self.table = table

    def of(self, path):
        """The directory of the table that `path` (relative to the root) belongs to, or None."""
        parts = str(path).split("/")
        for n in range(len(parts) - 1, 0, -1):
            name = "/".join(parts[:n])
            if name in self.table:
                return name
        return None

    def may_include(self, layer, other):
        allowed = [layer] + self.table[layer]["includes"]
        return any(other == a or other.startswith(a + "/") for a in allowed)

    def kind(self, layer):
        return self.table[layer]["kind"]


def our_files(root, suffixes=None):
    """Tracked and new files below root, without build output and whatever .gitignore names."""
    listed = subprocess.run(
        ["git", "-C", str(root), "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        capture_output=True, check=False)
    if listed.returncode == 0:
        names = [n for n in listed.stdout.decode().split("\0") if n]
    else:
        names = [str(p.relative_to(root)) for p in pathlib.Path(root).rglob("*") if p.is_file()]
    names = [n for n in names if (pathlib.Path(root) / n).is_file()]
    if suffixes is not None:
        names = [n for n in names if pathlib.Path(n).suffix in suffixes]
    return sorted(set(names))


def finish(check, findings, looked_at):
    """Prints findings and a closing line; a check that looked at nothing has failed."""
    for finding in findings:
        print(finding)
    if looked_at == 0:
        print(f"{check}: found nothing to look at")
        sys.exit(1)
    print(f"{check}: {looked_at} looked at, {len(findings)} wrong")
    sys.exit(1 if findings else 0)
