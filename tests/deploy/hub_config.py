"""deploy/jupyterhub_config.py with what a test can't have: systemd, and accounts with passwords."""

from pathlib import Path

c = get_config()  # noqa: F821
load_subconfig(str(Path(__file__).parents[2] / "deploy" / "jupyterhub_config.py"))  # noqa: F821
c.JupyterHub.authenticator_class = "shared-password"
c.SharedPasswordAuthenticator.user_password = "one for both of them"
c.Authenticator.allowed_users = {"ada", "bob"}
c.JupyterHub.spawner_class = "jupyterhub.spawner.LocalProcessSpawner"
