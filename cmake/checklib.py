"""What the checks share: the layer table, the list of our files, and how a finding is printed."""
import os
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
        self.programs = table.pop("programs")
        self.table = table

    def of(self, path):
        """The directory of the table that `path` (relative to the root) belongs to, or None."""
        parts = str(path).split("/")
        for n in range(len(parts), 0, -1):
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


def dependency_log(build):
    """Yields (object, its source, [every file read for it]) from what the compiler told ninja."""
    out = subprocess.run(["ninja", "-C", str(build), "-t", "deps"], capture_output=True, text=True, check=True).stdout
    for block in out.split("\n\n"):
        lines = block.strip("\n").splitlines()
        files = [line.strip() for line in lines[1:]]
        if files:
            yield lines[0].split(": #deps")[0], files[0], files


def inside(path, build, root):
    """The path inside the tree, or None for the system's and for generated files."""
    full = os.path.realpath(os.path.join(build, path))
    if not full.startswith(str(root) + os.sep) or full.startswith(os.path.realpath(build) + os.sep):
        return None
    return os.path.relpath(full, root)


def finish(check, findings, looked_at):
    """Prints findings and a closing line; a check that looked at nothing has failed."""
    for finding in findings:
        print(finding)
    if looked_at == 0:
        print(f"{check}: found nothing to look at")
        sys.exit(1)
    print(f"{check}: {looked_at} looked at, {len(findings)} wrong")
    sys.exit(1 if findings else 0)
