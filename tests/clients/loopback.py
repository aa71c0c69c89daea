"""A small asynchronous server on a loopback port, in a thread of its own."""
import asyncio
import threading

from aiohttp import web


class Loopback:
    """`with Loopback() as server`: `server.url` answers with what `routes` names. Subclasses call `super().__init__()`."""

    def __init__(self):
        self.url = None

    def routes(self):
        """The routes, as aiohttp takes them."""
        raise NotImplementedError

    def __enter__(self):
        started = threading.Event()
        self.thread = threading.Thread(target=self.run, args=(started,), daemon=True)
        self.thread.start()
        assert started.wait(10)
        return self

    def __exit__(self, *_):
        asyncio.run_coroutine_threadsafe(self.runner.cleanup(), self.loop).result(20)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(10)

    def run(self, started):
        self.loop = asyncio.new_event_loop()
        asyncio.set_event_loop(self.loop)
        app = web.Application(client_max_size=1 << 26)
        app.add_routes(self.routes())
        self.runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
        self.loop.run_until_complete(self.runner.setup())
        site = web.TCPSite(self.runner, "127.0.0.1", 0)
        self.loop.run_until_complete(site.start())
        self.url = f"http://127.0.0.1:{site._server.sockets[0].getsockname()[1]}"
        self.loop.call_soon(started.set)
        self.loop.run_forever()
