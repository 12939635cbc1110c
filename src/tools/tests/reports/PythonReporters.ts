/**
 * The programs that run Python's tests, given to the interpreter with `-c`: each writes what happens as lines of JSON to
 * the file `report`, as `FactLines.ts` reads them. Arguments: the file, and a JSON object {args, paths, name, only}.
 */

const common = String.raw`
import json, os, re, sys

report = open(sys.argv[1], "w", buffering=1, encoding="utf-8", errors="backslashreplace")
asked = json.loads(sys.argv[2])
here = os.getcwd()

def text(value, limit=4000):
    value = str(value)
    half = limit // 2
    return value if len(value) <= limit else value[:half] + " … %d more … " % (len(value) - 2 * half) + value[-half:]

def shown(value):
    try:
        return text(repr(value), 1000)
    except Exception:
        return None

def tell(**fact):
    report.write(json.dumps({key: value for key, value in fact.items() if value is not None}) + "\n")

def near(path):
    if path is None:
        return None
    path = os.path.abspath(os.path.join(here, str(path)))
    return os.path.relpath(path, here) if (path + os.sep).startswith(here.rstrip(os.sep) + os.sep) else path

def is_own(path):
    path = near(path)
    return not os.path.isabs(path) and not re.search(r"(^|/)(site-packages|dist-packages|\.venv|venv)/", path)

def sides(message):
    # unittest's own words: first != second.
    found = re.match(r"(?:AssertionError: )?(.{1,500}) != (.{1,500}?)(?: : .*)?$", message.split("\n")[0])
    return found.groups() if found and " != " not in found.group(2) else (None, None)
`

export const pytestReporter = String.raw`${common}
try:
    import pytest
except ImportError:
    tell(missing="pytest")
    sys.exit(127)

class Reporter:
    compared = None

    def name(self, nodeid):
        path, *rest = nodeid.split("::")
        return "::".join([near(os.path.join(str(self.root), path)) or path, *rest])

    def pytest_configure(self, config):
        self.root = config.rootpath if hasattr(config, "rootpath") else config.rootdir

    def pytest_collection_modifyitems(self, config, items):
        only = set(asked["only"])
        keep, drop = [], []
        for item in items:
            name = self.name(item.nodeid)
            fits = (not only or name in only or name.split("::")[0] in only) and asked["name"] in name
            (keep if fits else drop).append(item)
        if drop:
            config.hook.pytest_deselected(items=drop)
            items[:] = keep

    def pytest_collection_finish(self, session):
        tell(total=len(session.items))

    def pytest_runtest_setup(self, item):
        self.compared = None

    def pytest_assertrepr_compare(self, op, left, right):
        if op in ("==", "is"):
            self.compared = (shown(left), shown(right))

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_makereport(self, item, call):
        result = yield
        if self.compared and call.excinfo is not None and isinstance(call.excinfo.value, AssertionError):
            result.get_result().compared = self.compared

    def place(self, report):
        longrepr = report.longrepr
        entries = getattr(getattr(longrepr, "reprtraceback", None), "reprentries", [])
        places = [entry.reprfileloc for entry in entries if getattr(entry, "reprfileloc", None) is not None]
        crash = getattr(longrepr, "reprcrash", None)
        for place in ([crash] if crash is not None else []) + places[::-1]:
            if is_own(place.path):
                return near(place.path), place.lineno
        path, line, _ = report.location
        return near(os.path.join(str(self.root), path)), None if line is None else line + 1

    def pytest_runtest_logreport(self, report):
        if report.when != "call" and report.outcome == "passed":
            return
        if report.outcome in ("passed", "skipped"):
            return tell(state=report.outcome)
        if report.outcome != "failed":
            return
        file, line = self.place(report)
        crash = getattr(report.longrepr, "reprcrash", None)
        message = crash.message if crash is not None else str(report.longrepr)
        got, expected = getattr(report, "compared", None) or sides(message)
        tell(
            state="failed" if report.when == "call" else "error",
            id=self.name(report.nodeid), file=file, line=line,
            message=text(message if report.when == "call" else report.when + ": " + message),
            trace=text(report.longreprtext), expected=expected, got=got,
        )

    def pytest_collectreport(self, report):
        if report.outcome != "failed":
            return
        whole = report.longreprtext
        file = suite = self.name(report.nodeid).split("::")[0] if report.nodeid else None
        said = [line[1:].strip() for line in whole.split("\n") if line.startswith("E ")]
        crash = getattr(report.longrepr, "reprcrash", None)
        places = [("", "", crash.path, crash.lineno)] if crash is not None else re.findall(
            r'File "([^"\n]+)", line (\d+)|^([^\s:][^:\n]*):(\d+):', whole[-8000:], re.M
        )
        line = None
        for place in places[::-1]:
            path, number = (place[0], place[1]) if place[0] else (place[2], place[3])
            if is_own(path):
                file, line = near(path), int(number)
                break
        message = said[-1] if said else (crash.message if crash is not None else whole.strip().split("\n")[-1])
        trace = whole if any(is_own(place[2]) for place in places if place[2]) else "\n".join(said) or whole
        tell(state="broken", id=suite, file=file, line=line, message=text(message), trace=text(trace))

    def pytest_internalerror(self, excrepr):
        tell(state="broken", message=text(str(excrepr).strip().split("\n")[-1]), trace=text(excrepr))

paths = asked["paths"] + sorted({
    path for path in (name.split("::")[0] for name in asked["only"]) if os.path.exists(path)
})
sys.argv[1:] = ["--color=no", "--continue-on-collection-errors", *asked["args"], *paths]
sys.exit(pytest.main(sys.argv[1:], plugins=[Reporter()]))
`

export const unittestReporter = String.raw`${common}
import traceback, unittest

def place(trace, test):
    frames = [(f.filename, f.lineno) for f in traceback.extract_tb(trace) if is_own(f.filename)]
    module = sys.modules.get(type(test).__module__)
    return frames[-1] if frames else (getattr(module, "__file__", None), None)

class Result(unittest.TextTestResult):
    def startTest(self, test):
        self.bad = False
        super().startTest(test)

    def told(self, state, test, err):
        kind, error, trace = err
        # As unittest shows it: without its own frames.
        whole = self._exc_info_to_string(err, test)
        if type(test).__name__ == "_FailedTest":
            return self.broken(test, str(error))
        name, what = test.id(), ""
        if type(test).__name__ == "_ErrorHolder":
            # setUpClass (module.Class): it stands for all tests of that.
            what, _, name = name.rstrip(")").partition(" (")
            state, name, what = "error", name or what, what + ": "
        path, line = place(trace, test)
        got, expected = sides(str(error)) if issubclass(kind, AssertionError) else (None, None)
        tell(
            state=state, id=name, file=near(path), line=line,
            message=text("%s%s: %s" % (what, kind.__name__, error)), trace=text(whole), expected=expected, got=got,
        )

    def broken(self, test, whole):
        whole = whole.strip()
        places = [(p, int(n)) for p, n in re.findall(r'File "([^"\n]+)", line (\d+)', whole[-8000:]) if is_own(p)]
        path, line = places[-1] if places else (None, None)
        tell(state="broken", file=near(path), line=line, message=text(whole.split("\n")[-1]), trace=text(whole))

    def addSuccess(self, test):
        super().addSuccess(test)
        if not self.bad:
            tell(state="passed")

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self.told("failed", test, err)

    def addError(self, test, err):
        super().addError(test, err)
        self.told("failed", test, err)

    def addSubTest(self, test, subtest, err):
        super().addSubTest(test, subtest, err)
        if err is not None:
            self.bad = True
            self.told("failed", subtest, err)

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        tell(state="skipped")

    def addExpectedFailure(self, test, err):
        super().addExpectedFailure(test, err)
        tell(state="skipped")

    def addUnexpectedSuccess(self, test):
        super().addUnexpectedSuccess(test)
        tell(state="failed", id=test.id(), file=near(place(None, test)[0]), message="It was expected to fail, and passed.")

def each(suite):
    for test in suite:
        if isinstance(test, unittest.TestSuite):
            yield from each(test)
        else:
            yield test

# Folders of tests that are no packages are roots of their own.
roots = [here] + [os.path.join(here, name) for name in ("tests", "test")
    if os.path.isdir(name) and not os.path.exists(os.path.join(name, "__init__.py"))]
sys.path[:0] = roots
loader = unittest.TestLoader()
found = []
for path in asked["paths"] or [os.path.relpath(root, here) for root in roots]:
    if os.path.isdir(path):
        top = path if path != "." and not os.path.exists(os.path.join(path, "__init__.py")) else "."
        found += each(loader.discover(path, "test*.py", top))
        # Otherwise the next one is looked for below this one.
        loader._top_level_dir = None
    elif os.path.exists(path):
        folder = os.path.dirname(path)
        is_package = os.path.exists(os.path.join(folder, "__init__.py"))
        if folder and not is_package:
            sys.path.insert(0, folder)
        name = os.path.splitext(path if is_package else os.path.basename(path))[0]
        found += each(loader.loadTestsFromName(os.path.normpath(name).replace(os.sep, ".")))
    else:
        sys.exit("There is no " + path)
def is_asked(test):
    parts = re.sub(r" [(\[].*", "", test.id()).split(".")
    return not only or any(".".join(parts[:count + 1]) in only for count in range(len(parts)))

only = set(re.sub(r" [(\[].*", "", name) for name in asked["only"])
chosen = [test for test in found if (type(test).__name__ == "_FailedTest" and not only) or
    (is_asked(test) and asked["name"] in test.id())]
tell(total=len(chosen))
options = {"failfast": "-f" in asked["args"] or "--failfast" in asked["args"], "buffer": "-b" in asked["args"]}
result = unittest.TextTestRunner(resultclass=Result, verbosity=2 if "-v" in asked["args"] else 1, **options).run(
    unittest.TestSuite(chosen)
)
sys.exit(0 if result.wasSuccessful() else 1)
`
