"""Loading runs no code, opens nothing outside of the folder and reaches no network."""

import subprocess
import sys
import textwrap

PROGRAM = textwrap.dedent(
    """
    import os, random, sys
    from pathlib import Path
    from lightrec.artifact import Manifest, Model
    from lightrec.durable_files import FileDigest, sha256_of
    from lightrec.errors import ArtifactError

    root = Path(sys.argv[1])
    Model.load(root)  # whatever is imported late is imported now
    content = {path.name: path.read_bytes() for path in root.iterdir()}
    forbidden = ("pickle.", "exec", "compile", "subprocess.", "os.system", "os.exec", "os.spawn",
                 "os.posix_spawn", "os.fork", "socket.", "import", "ctypes.dlopen", "marshal.")
    seen = []

    def watch(event, args):
        if event.startswith(forbidden):
            seen.append((event, str(args)[:200]))
        if event == "open" and isinstance(args[0], str) and not loading_may_open(args[0]):
            seen.append((event, args[0]))

    def sealed():
        return Manifest(
            {name: FileDigest(len(data), sha256_of(data))
             for name in names if name not in ("README.md", "MANIFEST.json")
             for data in [(root / name).read_bytes()]}
        ).to_bytes()

    def loading_may_open(path):
        return not watching or "/" not in path or Path(path) == root

    watching = False
    sys.addaudithook(watch)
    chooser = random.Random(5)
    names = sorted(content)
    for _ in range(int(sys.argv[2])):
        name = chooser.choice(names)
        damaged = bytearray(content[name])
        for _ in range(chooser.randint(1, 4)):
            damaged[chooser.randrange(len(damaged))] = chooser.randrange(256)
        (root / name).write_bytes(damaged)
        if name != "MANIFEST.json":
            (root / "MANIFEST.json").write_bytes(sealed())
        watching = True
        try:
            Model.load(root)
        except ArtifactError:
            pass
        watching = False
        for changed in (name, "MANIFEST.json"):
            (root / changed).write_bytes(content[changed])
    sys.exit("\\n".join(map(str, seen)) or 0)
    """
)


def test_no_load_runs_code_or_opens_anything_else(folder):
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(folder), "400"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr


def test_the_watch_sees_what_it_should(folder):
    """The test above is able to fail."""
    program = PROGRAM.replace("    try:\n        Model.load(root)", "    try:\n        exec('')", 1)
    assert program != PROGRAM
    run = subprocess.run(
        [sys.executable, "-c", program, str(folder), "1"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "exec" in run.stderr
