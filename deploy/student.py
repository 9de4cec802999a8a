"""A student of the hub as a program: what a browser sends. For the test of the hub and its load test."""

import asyncio
import json
import uuid

import aiohttp
from yarl import URL


async def answering(hub: str, seconds: float = 120) -> None:
    """Wait until a hub answers. Raises TimeoutError."""
    async with asyncio.timeout(seconds), aiohttp.ClientSession() as web:
        while True:
            try:
                async with web.get(f"{hub}/hub/health") as answer:
                    if answer.status == 200:
                        return
            except aiohttp.ClientConnectionError:
                pass
            await asyncio.sleep(0.2)


class Student:
    """A session of one user at a hub, such as http://127.0.0.1:8000; use it by `async with`."""

    def __init__(self, hub: str, name: str, password: str):
        self.hub, self.name, self._password = URL(hub), name, password
        self.server = self.hub / "user" / name / ""

    async def __aenter__(self):
        jar = aiohttp.CookieJar(unsafe=True)  # or it takes none from an address of numbers
        limit = aiohttp.ClientTimeout(total=300)
        self._web = aiohttp.ClientSession(cookie_jar=jar, timeout=limit)
        return self

    async def __aexit__(self, *error):
        await self._web.close()

    async def log_in(self) -> None:
        """Fill in the hub's form. Raises PermissionError if the hub refuses."""
        page = self.hub / "hub" / "login" % {"next": "/hub/home"}  # or the server is started, too
        await self._read("GET", page)
        form = {"username": self.name, "password": self._password, "_xsrf": self._xsrf(page)}
        async with self._web.post(page, data=form) as answer:
            if answer.url.path == page.path or answer.status >= 400:
                raise PermissionError(f"{self.name} may not log in: {answer.status}")

    async def start(self) -> None:
        """Start the server, wait until it is ready, and open its JupyterLab."""
        api = self.hub / "hub" / "api" / "users" / self.name
        while True:
            try:
                await self._read("POST", api / "server", json={})
                break
            except aiohttp.ClientResponseError as error:
                if error.status != 429:  # as many are starting as the hub allows
                    raise
                await asyncio.sleep(1)
        while not json.loads(await self._read("GET", api))["servers"].get("", {}).get("ready"):
            await asyncio.sleep(0.5)
        await self._read("GET", self.server / "lab")  # where the server gets to know who this is

    async def stop(self) -> None:
        await self._read("DELETE", self.hub / "hub" / "api" / "users" / self.name / "server")

    async def ask(self, method: str, path: str, **settings) -> dict:
        """A request to the own server: its JSON. Raises aiohttp.ClientResponseError for a refusal."""
        return json.loads(await self._read(method, self.server.join(URL(path)), **settings) or "null")

    async def action(self, what: str, assignment: str, course: str) -> dict:
        """A button of nbgrader's list of assignments: fetch, submit or fetch_feedback."""
        form = {"course_id": course, "assignment_id": assignment}
        return await self.ask("POST", f"assignments/{what}", data=form)

    async def read(self, path: str) -> dict:
        """A notebook or file of the own folder."""
        return (await self.ask("GET", f"api/contents/{path}"))["content"]

    async def save(self, path: str, notebook: dict) -> None:
        await self.ask("PUT", f"api/contents/{path}", json={"type": "notebook", "content": notebook})

    async def kernel(self) -> str:
        """Start a kernel; return its id."""
        return (await self.ask("POST", "api/kernels", json={"name": "python3"}))["id"]

    async def run(self, kernel: str, code: str) -> str:
        """Run a cell; return what it printed. Raises RuntimeError if it fails."""
        header = {"msg_id": uuid.uuid4().hex, "msg_type": "execute_request", "username": self.name}
        header |= {"session": uuid.uuid4().hex, "version": "5.3"}
        content = {"code": code, "silent": False, "store_history": False, "allow_stdin": False}
        message = {"header": header, "parent_header": {}, "metadata": {}, "channel": "shell"}
        printed, address = "", self.server / "api" / "kernels" / kernel / "channels"
        async with self._web.ws_connect(address, max_msg_size=0) as socket:
            await socket.send_json(message | {"content": content, "buffers": []})
            while True:
                answer = await socket.receive_json(timeout=300)
                if answer["parent_header"].get("msg_id") != header["msg_id"]:
                    continue
                kind, got = answer["msg_type"], answer["content"]
                if kind == "stream" and got["name"] == "stdout":
                    printed += got["text"]
                if kind == "error":
                    raise RuntimeError(f"{got['ename']}: {got['evalue']}")
                if kind == "status" and got["execution_state"] == "idle":
                    return printed

    async def _read(self, method: str, url: URL, **settings) -> str:
        headers = {"X-XSRFToken": self._xsrf(url), "Referer": str(url)}
        async with self._web.request(method, url, headers=headers, **settings) as answer:
            text = await answer.text()
            if answer.status >= 400:
                raise aiohttp.ClientResponseError(
                    answer.request_info, answer.history, status=answer.status, message=text[:500]
                )
            return text

    def _xsrf(self, url: URL) -> str:
        cookie = self._web.cookie_jar.filter_cookies(url).get("_xsrf")
        return cookie.value if cookie else ""
