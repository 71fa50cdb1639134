#!/usr/bin/env python3
"""Run the web tests of Kinto 26.5.0 against any server, over HTTP.

    kinto_suite.py --server 'myserver --ini {ini} --port {port}'
    kinto_suite.py --reference          # the genuine Kinto, to check the suite

See README.md.
"""

import argparse
import fcntl
import hashlib
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
import venv
from collections import OrderedDict
from pathlib import Path

HERE = Path(__file__).resolve().parent
KINTO = "26.5.0"
SDIST_SHA256 = "242d6fe6870456ffea05461b250db4499a2f1431582075b4ddca75c8d7851f7e"
REQUIREMENTS = HERE / "requirements.txt"
# Modules with tests that go through HTTP; the others only test Python objects.
CANDIDATES = [
    "tests/test_views_*.py",
    "tests/test_cache_metrics.py",
    "tests/plugins/test_*.py",
    "tests/openapi/test_*.py",
    "tests/core/test_views_*.py",
    "tests/core/test_authentication.py",
    "tests/core/test_deprecation.py",
    "tests/core/test_initialization.py",
    "tests/core/test_logging.py",
    "tests/core/resource/test_views*.py",
    "tests/core/resource/test_events.py",
    "tests/functional.py",
]
# Tests that cannot fail, and that --discover does not detect.
VACUOUS = {
    "tests/openapi/test_responses_errors.py::OpenAPIObjectErrorResponsesTest::test_list_delete_405": "empty",
}
REFERENCE = "{venv}/bin/kinto start -q --ini {ini} --port {port}"
REFERENCE_MIGRATE = "{venv}/bin/kinto migrate -q --ini {ini}"
EXIT_OK, EXIT_FAILED, EXIT_USAGE = 0, 1, 2


def log(*args):
    print(*args, file=sys.stderr, flush=True)


def die(message):
    log(f"kinto_suite: {message}")
    sys.exit(EXIT_USAGE)


# --------------------------------------------------------------------------
# Environment


def run(cmd, **kwargs):
    done = subprocess.run(
        [str(c) for c in cmd], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **kwargs
    )
    if done.returncode:
        die(f"{shlex.join(str(c) for c in cmd)} failed:\n{done.stdout[-3000:]}")
    return done.stdout


def prepare(args):
    """Virtual environment and upstream tests, made once in the cache folder."""
    base = args.cache or Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "kinto-conformance"
    stamp = hashlib.sha256(sys.version.encode() + REQUIREMENTS.read_bytes()).hexdigest()[:12]
    root = Path(base).resolve() / f"kinto-{KINTO}-py{sys.version_info[0]}{sys.version_info[1]}-{stamp}"
    root.mkdir(parents=True, exist_ok=True)
    with open(root / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (root / "ready").exists():
            log(f"kinto_suite: preparing {root} ...")
            venv_dir, src = root / "venv", root / "src"
            for folder in (venv_dir, src):
                shutil.rmtree(folder, ignore_errors=True)
            venv.create(venv_dir, with_pip=True, symlinks=True)
            pip = [venv_dir / "bin" / "python", "-m", "pip", "--disable-pip-version-check"]
            run([*pip, "install", "-q", "-r", REQUIREMENTS])
            unpack_tests(args, pip, root, src)
            (root / "ready").touch()
    return root


def unpack_tests(args, pip, root, src):
    sdist = args.sdist
    if not sdist:
        folder = root / "sdist"
        run([*pip, "download", "-q", "--no-deps", "--no-binary", ":all:", "-d", folder, f"kinto=={KINTO}"])
        sdist = folder / f"kinto-{KINTO}.tar.gz"
    if hashlib.sha256(Path(sdist).read_bytes()).hexdigest() != SDIST_SHA256:
        die(f"{sdist} is not the sdist of kinto {KINTO}")
    with tarfile.open(sdist) as tar:
        for member in tar.getmembers():
            name = member.name.partition("/")[2]
            if member.isfile() and name.startswith("tests/") and ".." not in name:
                target = src / name
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(tar.extractfile(member).read())


# --------------------------------------------------------------------------
# Runs


def read_list(path):
    lines = (line.partition("#")[0].strip() for line in Path(path).read_text().splitlines())
    return [line for line in lines if line]


def set_aside(path, ids, explicit):
    """Ids that wait for a feature, by reason; a pattern without a test is a mistake."""
    waiting = OrderedDict()
    for line in read_list(path):
        pattern, _, reason = line.partition(" ")
        reason = reason.strip()
        found = [nodeid for nodeid in ids if re.match(pattern, nodeid)]
        if not reason:
            die(f"{path}: {pattern} has no reason")
        if not found and not explicit:
            die(f"{path}: no test matches {pattern}")
        waiting.setdefault(reason, []).extend(found)
    return waiting


def print_set_aside(waiting, total):
    count = sum(map(len, waiting.values()))
    if count:
        print(f"set aside: {count} of {total}, until the server has")
        for reason, ids in waiting.items():
            if ids:
                print(f"{len(ids):>6}  {reason}")


def command(text):
    """Words of a command line; the program is looked up from here."""
    words = shlex.split(text)
    if not words:
        die("the command is empty")
    if "{" not in words[0]:
        program = shutil.which(words[0])
        if not program:
            die(f"{words[0]}: command not found")
        words[0] = os.path.abspath(program)
    return words


def run_pytest(args, root, workdir, modules, select, quiet=False):
    """One pytest session; returns the content of the plugin's report."""
    config = {
        "server": command(args.server),
        "migrate": args.migrate and command(args.migrate),
        "backend": args.backend,
        "backend_url": args.backend_url,
        "cache_backend": args.cache_backend,
        "cache_url": args.cache_url,
        "prefix": args.setting_prefix,
        "start_timeout": args.start_timeout,
        "request_timeout": args.timeout,
        "pool": args.pool,
        "keep": args.keep,
        "workdir": str(workdir),
        "venv": str(root / "venv"),
        "src": str(root / "src"),
        "cwd": os.getcwd(),
        "admin_assets": str(workdir / "admin"),
        "select": select,
        "discover": bool(args.discover),
        "result": str(workdir / "result.json"),
    }
    config_file = workdir / "config.json"
    config_file.write_text(json.dumps(config))
    Path(config["result"]).unlink(missing_ok=True)
    (workdir / "admin").mkdir(exist_ok=True)
    (workdir / "admin" / "index.html").write_text("<html><script/></html>")
    (workdir / "admin" / "VERSION").write_text("1.0.0\n")

    cmd = [root / "venv" / "bin" / "python", "-m", "pytest", "-p", "kinto_suite_plugin"]
    cmd += ["-c", os.devnull, "--rootdir", root / "src", "-p", "no:cacheprovider", "-W", "ignore", "--tb=short", "--no-header"]
    if args.verbose:
        cmd += ["-v"]
    else:
        cmd += ["-q", "--no-summary"]
    if args.fail_fast:
        cmd += ["--maxfail=1"]
    if args.jobs > 1:
        cmd += ["-n", args.jobs, "--dist=loadscope"]
    cmd += [*args.pytest_args, *modules]
    env = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST_", "KINTO_"))}
    env.update(
        PYTHONPATH=str(HERE),
        PYTHONDONTWRITEBYTECODE="1",
        PYTHONHASHSEED="0",
        KINTO_SUITE_CONFIG=str(config_file),
        NO_PROXY="127.0.0.1,localhost",
        no_proxy="127.0.0.1,localhost",
    )
    out = sys.stderr if args.verbose or not quiet else subprocess.DEVNULL
    proc = subprocess.Popen(
        [str(c) for c in cmd],
        cwd=root / "src",
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=out,
        stderr=out,
        start_new_session=True,  # Ctrl-C is for us, and we pass it on
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    try:
        code = proc.wait()
    except BaseException:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
            proc.send_signal(number)
            try:
                proc.wait(15)
                break
            except subprocess.TimeoutExpired:
                continue
        raise
    try:
        return json.loads(Path(config["result"]).read_text())
    except OSError:
        die(f"pytest ended with {code}, without a report (try -v)")


def preflight(args, root, workdir):
    """A server that cannot start at all would make a few tests pass."""
    probe = "tests/test_views_hello.py::HelloViewTest::test_hides_user_info_if_anonymous"
    quick = argparse.Namespace(**{**vars(args), "jobs": 1, "verbose": False, "pytest_args": []})
    result = run_pytest(quick, root, workdir, ["tests/test_views_hello.py"], [probe], quiet=True)
    test = result["tests"].get(probe, {})
    if test.get("outcome") != "passed":
        die(f"the server does not start with a minimal configuration: {test.get('reason') or result}")


def module_of(nodeid):
    return nodeid.partition("::")[0]


def report(selected, result, elapsed, args, waiting):
    tests = result["tests"]
    modules = OrderedDict()
    failures = []
    for nodeid in selected:
        test = tests.get(nodeid) or {"outcome": "not run", "reason": "not run"}
        passed, total = modules.get(module_of(nodeid), (0, 0))
        ok = test["outcome"] == "passed"
        modules[module_of(nodeid)] = (passed + ok, total + 1)
        if not ok:
            failures.append({"id": nodeid, "outcome": test["outcome"], "reason": test.get("reason", "")})
    passed = len(selected) - len(failures)
    for error in result["errors"]:
        print(f"ERROR {error}")
    if failures:
        print()
        for failure in failures:
            if failure["outcome"] != "not run":
                print(f"{failure['outcome'].upper()} {failure['id']}\n    {failure['reason']}")
    print()
    width = max([len(m) for m in modules] + [5])
    for name, (good, total) in modules.items():
        print(f"{name:<{width}}  {good:>4}/{total:<4} {'' if good == total else 'FAIL'}".rstrip())
    skipped = sum(f["outcome"] == "not run" for f in failures)
    more = f", {skipped} not run" if skipped else ""
    print(f"{'TOTAL':<{width}}  {passed:>4}/{len(selected):<4} in {elapsed:.1f}s{more}")
    success = passed == len(selected) and not result["errors"]
    if args.json:
        doc = {
            "kinto": KINTO,
            "backend": args.backend,
            "server": args.server,
            "success": success,
            "passed": passed,
            "total": len(selected),
            "set_aside": {reason: len(ids) for reason, ids in waiting.items()},
            "seconds": round(elapsed, 2),
            "modules": {m: {"passed": g, "total": t} for m, (g, t) in modules.items()},
            "failures": failures,
            "errors": result["errors"],
            "tests": {nodeid: tests.get(nodeid, {"outcome": "not run"}) for nodeid in selected},
        }
        Path(args.json).write_text(json.dumps(doc, indent=1) + "\n")
    return EXIT_OK if success else EXIT_FAILED


def discover(args, root, workdir):
    """Find out which upstream tests are black-box: the ones that pass over
    HTTP, every time, and whose outcome depends on the server only."""
    src = root / "src"
    modules = sorted({str(p.relative_to(src)) for glob in CANDIDATES for p in src.glob(glob)})
    dropped, keep = {}, None
    for turn in range(args.repeat):
        started = time.monotonic()
        result = run_pytest(args, root, workdir, modules, None)
        for error in result["errors"]:
            log(f"ERROR {error}")
        passed = set()
        for nodeid, test in result["tests"].items():
            counts = test.get("counts", {})
            if test["outcome"] != "passed":
                why = f"{test['outcome']}: {test.get('reason', '')}"
            elif test.get("taints"):
                why = "not black-box: " + "; ".join(test["taints"])
            elif not counts.get("setup", 0) + counts.get("body", 0) + counts.get("refused", 0):
                why = "no request"
            elif nodeid in VACUOUS:
                why = f"vacuous: {VACUOUS[nodeid]}"
            else:
                passed.add(nodeid)
                continue
            dropped.setdefault(nodeid, why)
        keep = passed if keep is None else keep & passed
        log(f"kinto_suite: run {turn + 1}: {len(passed)} tests in {time.monotonic() - started:.0f}s")
    keep -= set(dropped)
    order = [nodeid for nodeid in result["tests"] if nodeid in keep]
    order.sort(key=lambda nodeid: (modules.index(module_of(nodeid)), nodeid))
    header = f"# Black-box tests of kinto {KINTO}, found with: kinto_suite.py --discover FILE --reference\n"
    Path(args.discover).write_text(header + "".join(f"{nodeid}\n" for nodeid in order))
    if args.json:
        doc = {"kept": order, "dropped": dropped, "tests": result["tests"]}
        Path(args.json).write_text(json.dumps(doc, indent=1) + "\n")
    print(f"{len(order)} tests kept, {len(dropped)} dropped")
    return EXIT_OK


def parse(argv):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--server", metavar="CMD", help="command of the server under test, with {ini} and {port} (also {host}, {cwd}, {dir}, {python}, {venv}); run in an empty folder, without a shell")
    which.add_argument("--reference", action="store_true", help="test the genuine Kinto")
    add("--migrate", metavar="CMD", help="command to run before each start of the server, with {ini}")
    add("--backend", choices=["memory", "sqlite", "postgresql"], default="memory", help="what the INI asks for (default: memory)")
    add("--backend-url", metavar="URL", help="sqlite: URL in the INI (default: sqlite:///{dir}/kinto.sqlite); postgresql: a database where the suite can CREATE DATABASE (default: postgresql://postgres:postgres@localhost:5432/postgres)")
    add("--cache-backend", choices=["redis", "memcached", "postgresql"], help="what the INI asks for (default: like --backend)")
    add("--cache-url", metavar="URL", help="its URL, or the hosts of memcached")
    add("--setting-prefix", metavar="TEXT", default="kinto.", help="prefix of the setting names in the INI (default: kinto.)")
    add("--select", metavar="REGEX", help="only the tests whose id matches")
    add("--tests", metavar="FILE", default=HERE / "blackbox.txt", help="list of test ids (default: blackbox.txt)")
    add("--later-list", metavar="FILE", default=HERE / "later.txt", help="tests to set aside, and why (default: later.txt)")
    add("--later", action="store_true", help="run the tests that are set aside too")
    add("--list", action="store_true", help="print the selected test ids, and exit")
    add("--fail-fast", "-x", action="store_true", help="stop at the first failure")
    add("--json", metavar="FILE", help="write the results there")
    add("--jobs", "-j", type=int, default=os.cpu_count() or 1, help="parallel test processes (default: one per CPU)")
    add("--pool", type=int, default=8, help="idle servers kept by each test process (default: 8)")
    add("--timeout", type=float, default=20, help="seconds to wait for a response (default: 20)")
    add("--start-timeout", type=float, default=20, help="seconds to wait for a server to start (default: 20)")
    add("--workdir", type=Path, help="folder for the INI files and server logs (default: a temporary one)")
    add("--keep", action="store_true", help="keep the INI files and server logs")
    add("--cache", type=Path, help="folder for the virtual environment (default: ~/.cache/kinto-conformance)")
    add("--sdist", type=Path, help=f"kinto-{KINTO}.tar.gz, if it should not be downloaded")
    add("--discover", metavar="FILE", help="run all the upstream web tests, and write the list of those that are black-box")
    add("--repeat", type=int, default=2, help="runs of --discover (default: 2)")
    add("--verbose", "-v", action="store_true", help="show the tests, their tracebacks and HTTP exchanges")
    add("pytest_args", nargs="*", metavar="-- PYTEST_ARG", help="more arguments for pytest")
    args = parser.parse_args(argv)
    if not (args.server or args.reference or args.list):
        parser.error("one of --server, --reference or --list is required")
    if args.cache_backend and not args.cache_url:
        parser.error("--cache-backend needs --cache-url")
    if args.reference:
        args.server = REFERENCE
    if args.backend == "sqlite":
        args.backend_url = args.backend_url or "sqlite:///{dir}/kinto.sqlite"
    elif args.backend == "postgresql":
        args.backend_url = args.backend_url or "postgresql://postgres:postgres@localhost:5432/postgres"
        if args.reference:
            args.migrate = args.migrate or REFERENCE_MIGRATE
    return args


def main(argv=None):
    args = parse(argv)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    selected = None
    waiting, total = {}, 0
    if not args.discover:
        selected = read_list(args.tests)
        total = len(selected)
        if not args.later:
            custom = Path(args.tests).resolve() != HERE / "blackbox.txt"
            waiting = set_aside(args.later_list, selected, custom)
            aside = {nodeid for ids in waiting.values() for nodeid in ids}
            selected = [nodeid for nodeid in selected if nodeid not in aside]
        if args.select:
            selected = [nodeid for nodeid in selected if re.search(args.select, nodeid)]
        if args.list:
            print("\n".join(selected))
            return EXIT_OK
        if not selected:
            die("no test is selected")
    root = prepare(args)
    if args.workdir:
        args.workdir.mkdir(parents=True, exist_ok=True)
    workdir = Path(tempfile.mkdtemp(prefix="kinto-suite-", dir=args.workdir)).resolve()
    try:
        if args.discover:
            return discover(args, root, workdir)
        preflight(args, root, workdir)
        started = time.monotonic()
        modules = list(OrderedDict.fromkeys(map(module_of, selected)))
        result = run_pytest(args, root, workdir, modules, selected)
        status = report(selected, result, time.monotonic() - started, args, waiting)
        print_set_aside(waiting, total)
        return status
    finally:
        if args.keep:
            log(f"kinto_suite: INI files and logs are in {workdir}")
        else:
            shutil.rmtree(workdir, ignore_errors=True)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
