# SPDX-License-Identifier: Apache-2.0
"""A real Chromium without a window, by WebDriver (https://www.w3.org/TR/webdriver2/), spoken to chromedriver itself."""

import base64
import json
import pathlib
import re
import shutil
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

from jaeger import die_with_parent

DEADLINE_S = 30


def missing():
    """What is not installed; None: all is there."""
    return next((f"there is no {name} (Debian: {package})" for name, package in
                 (("chromium", "chromium"), ("chromedriver", "chromium-driver")) if not shutil.which(name)), None)


class Browser:
    def __init__(self, width=1280, height=800, dark=False):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="loom-browser-"))
        with open(self.folder / "log", "wb") as log:
            self.driver = subprocess.Popen(["chromedriver", "--port=0"], stdout=log, stderr=log, stdin=subprocess.DEVNULL,
                                           preexec_fn=die_with_parent, start_new_session=True)
        try:
            self.base = f"http://127.0.0.1:{self._until(self._port, 'chromedriver listens')}"
            arguments = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", f"--window-size={width},{height}",
                         f"--user-data-dir={self.folder}/profile", *(["--force-dark-mode"] if dark else [])]
            options = {"goog:chromeOptions": {"args": arguments}, "goog:loggingPrefs": {"browser": "ALL"}}
            self.session = self._call("POST", "/session", {"capabilities": {"alwaysMatch": options}})["sessionId"]
        except BaseException:
            self._end()
            raise

    def _port(self):
        found = re.search(rb"started successfully on port (\d+)|on port (\d+)\.", (self.folder / "log").read_bytes())
        return int(found[1] or found[2]) if found and int(found[1] or found[2]) else None

    def _until(self, condition, what):
        end = time.monotonic() + DEADLINE_S
        while not (value := condition()):
            if time.monotonic() > end:
                raise TimeoutError(f"not within {DEADLINE_S} s: {what}")
            time.sleep(0.02)
        return value

    def _call(self, method, path, body=None):
        data = json.dumps(body if body is not None else {}).encode() if method == "POST" else None
        request = urllib.request.Request(self.base + path, data, {"Content-Type": "application/json"}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{path}: {json.load(error)['value']['message'][:500]}") from None

    def _do(self, method, path, body=None):
        return self._call(method, f"/session/{self.session}{path}", body)

    def open(self, url):
        self._do("POST", "/url", {"url": url})

    def url(self):
        return self._do("GET", "/url")

    def narrow(self, width, height):
        """The page is so wide, which a window cannot be."""
        self._do("POST", "/goog/cdp/execute", {"cmd": "Emulation.setDeviceMetricsOverride",
                                               "params": {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}})

    def set_zone(self, name):
        self._do("POST", "/goog/cdp/execute", {"cmd": "Emulation.setTimezoneOverride", "params": {"timezoneId": name}})

    def run(self, script, *arguments):
        """The value of a function's body in the page."""
        return self._do("POST", "/execute/sync", {"script": script, "args": list(arguments)})

    def wait(self, script, what, *arguments):
        """The value of it, once it is true."""
        try:
            return self._until(lambda: self.run(script, *arguments), what)
        except TimeoutError as late:
            raise AssertionError(f"{late}; the page says:\n{self.run('return document.body.innerText')[:1500]}\n{self.console()}") from None

    def accessible(self):
        """What assistive technology gets of the page: nodes with role, name and properties."""
        self._do("POST", "/goog/cdp/execute", {"cmd": "Accessibility.enable", "params": {}})
        tree = self._do("POST", "/goog/cdp/execute", {"cmd": "Accessibility.getFullAXTree", "params": {}})
        return [{"role": node["role"]["value"], "name": node.get("name", {}).get("value", ""),
                 **{one["name"]: one["value"].get("value") for one in node.get("properties", [])}}
                for node in tree["nodes"] if not node.get("ignored") and "role" in node]

    def press(self, keys):
        actions = [{"type": kind, "value": key} for key in keys for kind in ("keyDown", "keyUp")]
        self._do("POST", "/actions", {"actions": [{"type": "key", "id": "keyboard", "actions": actions}]})

    def console(self):
        """What the page has logged since the last time, violations of its policy with it."""
        return [line["message"] for line in self._do("POST", "/se/log", {"type": "browser"}) if line["level"] in ("SEVERE", "WARNING")]

    def picture(self, path):
        pathlib.Path(path).write_bytes(base64.b64decode(self._do("GET", "/screenshot")))

    def close(self):
        try:
            self._call("DELETE", f"/session/{self.session}")
        finally:
            self._end()

    def _end(self):
        self.driver.kill()
        self.driver.wait()
        shutil.rmtree(self.folder, ignore_errors=True)
