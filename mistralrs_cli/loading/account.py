"""Who the hub takes this user for."""

from __future__ import annotations

from ..errors import ModelAccessDenied, ModelError, reason


def log_in(token: str) -> str:
    """Keep a hub token for later downloads, and return the name of its account.

    Raises ``ModelAccessDenied`` where the hub does not accept the token, which then is not kept, and ``ModelError``
    where it cannot be reached.
    """
    from huggingface_hub import constants, login, whoami
    from huggingface_hub.errors import HfHubHTTPError

    try:
        account = whoami(token=token)
        login(token=token, skip_if_logged_in=False)
    except HfHubHTTPError as error:
        if error.response.status_code not in (401, 403):
            raise ModelError(f"The hub answered {error.response.status_code}.", "Try again in a while.") from error
        raise ModelAccessDenied(
            "The hub does not accept this token.", f"Make one that may read at {constants.ENDPOINT}/settings/tokens"
        ) from error
    except Exception as error:  # the hub's client lets errors of its HTTP library through
        raise ModelError(
            f"The hub cannot be reached: {reason(error)}.", "Connect to the network; then: mistralrs login"
        ) from error
    return str(account["name"])
