"""JupyterHub for a class on one Linux machine; README.md beside this file says how to start it.

HUB_FOLDER     the hub's own folder: database, cookie secret, process ids (default /srv/llm-hub)
HUB_EXCHANGE   where assignments go out and come in, owned by the teacher (default /srv/llm-exchange)
HUB_CACHE      texts and weights, fetched once for all (default /srv/llm-cache)
HUB_URL        what the hub listens on; a web server with TLS stands before it (default loopback, port 8000)
HUB_TEACHERS   accounts that may manage the hub, with blanks between
HUB_SERVERS    how many servers may run at once (default 0: as many as come)
"""

import os
import sys
from pathlib import Path

from course_utils.classroom import exchange, outputs

FOLDER = Path(os.environ.get("HUB_FOLDER", "/srv/llm-hub"))
EXCHANGE = Path(os.environ.get("HUB_EXCHANGE", "/srv/llm-exchange"))
HERE = Path(__file__).resolve().parent

c = get_config()  # noqa: F821 (JupyterHub has it)

# The hub, its proxy and the servers hear this machine only.
c.JupyterHub.bind_url = os.environ.get("HUB_URL", "http://127.0.0.1:8000")
c.JupyterHub.hub_ip = "127.0.0.1"
c.ConfigurableHTTPProxy.api_url = "http://127.0.0.1:8001"
c.Spawner.ip = "127.0.0.1"
c.JupyterHub.db_url = f"sqlite:///{FOLDER / 'hub.sqlite'}"
c.JupyterHub.cookie_secret_file = str(FOLDER / "cookie_secret")
c.ConfigurableHTTPProxy.pid_file = str(FOLDER / "proxy.pid")

# Who: the machine's accounts, by PAM. Teachers manage servers; a student's server is the student's only.
c.JupyterHub.authenticator_class = "pam"
c.Authenticator.allow_existing_users = False
c.PAMAuthenticator.allowed_groups = {"students"}
c.Authenticator.admin_users = {*os.environ.get("HUB_TEACHERS", "").split()}
c.JupyterHub.cookie_max_age_days = 1

# What a server gets: README.md has the load test that the limits come from. systemd holds them.
c.JupyterHub.spawner_class = "systemd"
c.Spawner.cmd = [sys.executable, "-m", "jupyterhub.singleuser"]  # whatever the PATH is
c.Spawner.mem_limit = "4G"
c.Spawner.cpu_limit = 1.0
c.SystemdSpawner.isolate_tmp = True
c.SystemdSpawner.disable_user_sudo = True
c.Spawner.default_url = "/lab"
c.Spawner.http_timeout = 120  # a class that begins at once waits for the processor
c.JupyterHub.concurrent_spawn_limit = 10
c.JupyterHub.active_server_limit = int(os.environ.get("HUB_SERVERS", 0))
c.Spawner.environment = {
    **outputs.QUIET_THREADS,
    "JUPYTER_CONFIG_PATH": str(HERE / "servers"),
    "COURSE_CACHE": os.environ.get("HUB_CACHE", "/srv/llm-cache"),
    "COURSE_EXCHANGE": lambda spawner: str(EXCHANGE / spawner.user.name),
}
c.Spawner.pre_spawn_hook = lambda spawner: exchange.admit(EXCHANGE, spawner.user.name)

# A server that nobody uses for an hour is stopped; what is saved stays.
c.JupyterHub.load_roles = [
    {
        "name": "idle-culler",
        "scopes": ["list:users", "read:users:activity", "read:servers", "delete:servers"],
        "services": ["idle-culler"],
    }
]
c.JupyterHub.services = [
    {"name": "idle-culler", "command": [sys.executable, "-m", "jupyterhub_idle_culler", "--timeout=3600"]}
]
