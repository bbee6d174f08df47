"""Runs the snippets that come as JSON on stdin as one program, as their reader does; reports each as a line of JSON."""

import contextlib
import io
import json
import sys


def main():
    task = json.load(sys.stdin)
    names = dict(task["names"])
    for module in task["modules"]:
        names[module] = __import__(module)
    for snippet in task["snippets"]:
        printed = io.StringIO()
        error = None
        try:
            with contextlib.redirect_stdout(printed):
                exec(compile(snippet["code"], snippet["name"], "exec"), names)
            shown = {expression: eval(expression, names) for expression in snippet["show"]}
        except Exception as raised:
            error = f"{type(raised).__name__}: {raised}"
            shown = {}
        report = {"name": snippet["name"], "error": error, "printed": printed.getvalue(), "shown": shown}
        print(json.dumps(report), flush=True)


main()
