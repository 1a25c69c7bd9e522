"""Find out which cloud to ask and how to log in there, as every OpenStack tool does."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import openstack.config
import yaml
from keystoneauth1 import exceptions as ksa
from openstack import exceptions as sdk
from openstack.config.cloud_region import CloudRegion
from openstack.connection import Connection

from exporter import __version__
from exporter.source.errors import ConnectConfigError

APP_NAME = "openstack-migration-exporter"

Connect = Callable[[], Connection]

#: The cloud that openstacksdk makes up where it finds neither a file nor a variable (openstack/config/loader.py).
_MADE_UP = "defaults"


def connect_named(cloud: str | None = None, region: str | None = None) -> Connect:
    """Return what connects to a cloud of clouds.yaml, or to that of the OS_* variables where none is named.

    Files and variables are read anew at each call, so that a mended file needs no restart. The call raises
    ConnectConfigError, or what openstacksdk and keystoneauth raise; it sends nothing.
    """
    return lambda: Connection(config=_region_of(_read(), cloud, region))


def connect_to(
    auth_url: str,
    username: str,
    password: str,
    project_name: str,
    *,
    user_domain_name: str = "Default",
    project_domain_name: str = "Default",
    region_name: str | None = None,
    interface: str = "public",
    name: str = "demo",
) -> Connect:
    """Return what connects to a cloud from these arguments alone, without any file or variable."""
    auth = {
        "auth_url": auth_url,
        "username": username,
        "password": password,
        "project_name": project_name,
        "user_domain_name": user_domain_name,
        "project_domain_name": project_domain_name,
    }

    def connect() -> Connection:
        config = openstack.config.OpenStackConfig(
            load_yaml_config=False, load_envvars=False, app_name=APP_NAME, app_version=__version__
        )
        config.cloud_config["clouds"][name] = {"auth": dict(auth), "auth_type": "password", "interface": interface}
        return Connection(config=config.get_one(cloud=name, region_name=region_name))

    return connect


def known_clouds() -> tuple[str, ...]:
    """Return the names that can be asked for, in the order of the file; `envvars` stands for the OS_* variables."""
    return _names(_read())


def require_known(cloud: str | None = None, region: str | None = None) -> str:
    """Return the name of the cloud that would be asked, or raise ConnectConfigError with what to do; sends nothing."""
    return str(_region_of(_read(), cloud, region).name)


def searched_files(config: openstack.config.OpenStackConfig | None = None) -> tuple[str, ...]:
    """Return the paths of clouds.yaml in the order in which they are looked for."""
    files: Sequence[str] = (config or _read())._config_files  # openstacksdk tells them nowhere else
    return tuple(dict.fromkeys(path for path in files if path.endswith((".yaml", ".yml"))))


def _read() -> openstack.config.OpenStackConfig:
    try:
        return openstack.config.OpenStackConfig(app_name=APP_NAME, app_version=__version__)
    except sdk.ConfigException as exception:
        raise ConnectConfigError(str(exception)) from exception
    except Exception as exception:  # PyYAML's errors, and whatever openstacksdk trips over in a file of another shape
        raise ConnectConfigError(f"clouds.yaml cannot be read: {_line(exception)}") from exception


def _searched(paths: Sequence[str]) -> str:
    """Tell which files were looked for, and what is wrong with those there are: openstacksdk passes over them."""
    faults = [fault for fault in map(_fault, paths) if fault]
    return f"cannot be read: {'; '.join(faults)}" if faults else f"looked for: {', '.join(paths)}"


def _fault(path: str) -> str | None:
    try:
        with open(path, encoding="utf-8") as file:
            yaml.safe_load(file)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, yaml.YAMLError) as exception:
        return f"{path}: {_line(exception)}"
    return None


def _line(exception: Exception) -> str:
    """Return where a YAML error lies and what it is; not the text of the file, which may be a password."""
    mark = getattr(exception, "problem_mark", None)
    problem = getattr(exception, "problem", None)
    if mark is not None and problem:
        return f"line {mark.line + 1}, column {mark.column + 1}: {problem}"
    if isinstance(exception, OSError):
        return str(exception.strerror)
    return f"it has not the shape of a clouds.yaml ({type(exception).__name__})"


def _names(config: openstack.config.OpenStackConfig) -> tuple[str, ...]:
    try:
        return tuple(name for name in config.get_cloud_names() if name != _MADE_UP or config.config_filename)
    except AttributeError as exception:  # openstacksdk takes `clouds` for a mapping, whatever it is
        raise ConnectConfigError(
            f"{config.config_filename}: `clouds` holds no mapping of names to clouds"
        ) from exception


def _region_of(config: openstack.config.OpenStackConfig, cloud: str | None, region: str | None) -> CloudRegion:
    wanted = cloud or config.default_cloud
    names = _names(config)
    if not wanted or wanted not in names:
        raise ConnectConfigError(_not_found(wanted if names or cloud else None, names, config))
    try:
        return config.get_one(cloud=wanted, region_name=region)
    except sdk.ConfigException as exception:
        raise ConnectConfigError(f"cloud '{wanted}': {exception}") from exception
    except ksa.MissingRequiredOptions as exception:
        missing = ", ".join(option.dest for option in exception.options)
        raise ConnectConfigError(f"cloud '{wanted}' lacks {missing} in its auth section") from exception
    except ksa.AuthPluginException as exception:
        raise ConnectConfigError(f"cloud '{wanted}': {exception}") from exception
    except (AttributeError, TypeError, LookupError, ValueError) as exception:  # its text may quote a password
        raise ConnectConfigError(f"cloud '{wanted}' has not the shape of an entry of clouds.yaml") from exception


def _not_found(wanted: str | None, names: Sequence[str], config: openstack.config.OpenStackConfig) -> str:
    found = config.config_filename
    read = f"read: {found}" if found else _searched(searched_files(config))
    if wanted:
        known = f"known clouds: {', '.join(names)}" if names else "no cloud is known"
        return f"cloud '{wanted}' was not found; {known}; {read}"
    if names:
        cure = f"set OS_CLOUD, or clouds[].cloud in the configuration, to one of {', '.join(names)}"
        return f"no cloud is named: {cure}; {read}"
    cure = "write a clouds.yaml and set OS_CLOUD, or set OS_AUTH_URL and the other OS_* variables"
    return f"no cloud is configured: {cure}; {read}"
