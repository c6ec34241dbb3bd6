# SPDX-License-Identifier: Apache-2.0
"""The server of `loom view`: who gets in, what it refuses, and what no client, broker or database can make it do."""

import unittest

from harness import LoomTest
from viewing import View


class Served(LoomTest):
    def setUp(self):
        self.bus = self.home(spans=False)
        self.view = View(self.bus.run, self.bus.folder, control=self.bus.control_path)

    def tearDown(self):
        self.assertEqual(0, self.view.process.stop(), self.view.process.err)

    def refused(self, path, status=400):
        answer = self.view.get(path)
        self.assertEqual((status, "application/problem+json"), (answer.status, answer.headers["Content-Type"]), answer.body)
        return answer.json["detail"]

    def test_the_token_opens_the_page_wherever_it_stands_in_the_query(self):
        token = self.view.token
        for query in (f"token={token}", f"utm=1&token={token}", f"token={token}&view=traces", f"a&&token={token}&b="):
            with self.subTest(query):
                answer = self.view.get(f"/?{query}", {})
                self.assertEqual((303, "/"), (answer.status, answer.headers["Location"]))
                self.assertIn(token, answer.headers["Set-Cookie"])
        for query in ("", "token=", f"token={token[:-1]}", f"token={token}&token={token}", f"xtoken={token}", f"a={token}", f"token={token}%00"):
            with self.subTest(query):
                self.assertEqual(401, self.view.get(f"/?{query}", {}).status)

    def test_the_reason_of_a_redirect_is_its_name(self):
        with self.view.connect() as sock:
            sock.sendall(f"GET /?token={self.view.token} HTTP/1.1\r\nHost: {self.view.host}:{self.view.port}\r\n\r\n".encode())
            self.assertTrue(sock.recv(4096).startswith(b"HTTP/1.1 303 See Other\r\n"))

    def test_a_script_with_the_token_gets_the_page(self):
        answer = self.view.get("/")
        self.assertEqual((200, "text/html; charset=utf-8"), (answer.status, answer.headers["Content-Type"]))
        self.assertEqual(401, self.view.get("/", {"Authorization": "Bearer " + "0" * 32}).status)

    def test_parameters_are_read_strictly(self):
        for query in ("limit=5%00x", "limit=+5", "limit=%2B5", "limit=5 ", "limit=0", "limit=501", "limit=", "limit=0x5", "limit=5&limit=6"):
            with self.subTest(query):
                self.assertIn("limit", self.refused("/api/traces?" + query.replace(" ", "%20")))
        for query, word in (("attribute=x", "KEY=VALUE"), ("attribute==x", "KEY=VALUE"), ("service=a&service=b", "twice"), ("service=%ff", "UTF-8"),
                            ("service=a%0ab", "control"), ("service=%4", "hexadecimal"), ("lim%69t=5%00", "limit"), ("x=1", "not known"),
                            ("attribute=a%3D%00", "control")):
            with self.subTest(query):
                self.assertIn(word, self.refused("/api/traces?" + query))
        for path in ("/api/state", "/api/bus/agents", "/api/traces/" + "1" * 32):
            with self.subTest(path):
                self.assertIn("no parameters", self.refused(path + "?x=1"))
        self.assertEqual(200, self.view.get("/api/traces?lim%69t=5&service=a+b%2Cc").status)


if __name__ == "__main__":
    unittest.main()
