"""A server that lets in who has signed in, with the official SDK's own authorization server; everybody who asks is let through.

Arguments: port, seconds that a token is good for. `/test` tells what it was asked, and ends sign-ins. Runs in the environment of real servers.
"""
import logging
import sys
import time
from collections import Counter
from secrets import token_hex

import uvicorn
from mcp.server import MCPServer
from mcp.server.auth.middleware.auth_context import get_access_token
from mcp.server.auth.provider import AccessToken, AuthorizationCode, AuthorizeError, RefreshToken, TokenError, construct_redirect_uri
from mcp.server.auth.settings import AuthSettings, ClientRegistrationOptions, RevocationOptions
from mcp.shared.auth import OAuthToken
from starlette.responses import JSONResponse

PORT, GOOD_FOR = int(sys.argv[1]), int(sys.argv[2])
BASE = f"http://127.0.0.1:{PORT}"


class Provider:
    """Forgets everything with the process. A token that renews is good once; whoever shows it again ends the sign-in."""

    def __init__(self):
        self.clients, self.codes, self.access, self.refresh, self.used = {}, {}, {}, {}, {}
        self.counts, self.denies = Counter(), False

    async def get_client(self, client_id):
        return self.clients.get(client_id)

    async def register_client(self, client_info):
        self.counts["registered"] += 1
        self.clients[client_info.client_id] = client_info

    async def authorize(self, client, params):
        if self.denies:
            raise AuthorizeError("access_denied", "not you")
        code = "code-" + token_hex(16)
        self.codes[code] = AuthorizationCode(
            code=code, client_id=client.client_id, scopes=params.scopes or [], expires_at=time.time() + 60, code_challenge=params.code_challenge,
            redirect_uri=params.redirect_uri, redirect_uri_provided_explicitly=params.redirect_uri_provided_explicitly, resource=params.resource)
        return construct_redirect_uri(str(params.redirect_uri), code=code, state=params.state)

    async def load_authorization_code(self, client, authorization_code):
        return self.codes.get(authorization_code)

    async def exchange_authorization_code(self, client, authorization_code):
        del self.codes[authorization_code.code]
        self.counts["exchanged"] += 1
        return self.give(client, authorization_code.scopes, authorization_code.resource)

    def give(self, client, scopes, resource):
        access, refresh = "at-" + token_hex(16), "rt-" + token_hex(16)
        self.access[access] = AccessToken(token=access, client_id=client.client_id, scopes=scopes, expires_at=int(time.time()) + GOOD_FOR, resource=resource, subject="alice")
        self.refresh[refresh] = RefreshToken(token=refresh, client_id=client.client_id, scopes=scopes, resource=resource)
        return OAuthToken(access_token=access, refresh_token=refresh, expires_in=GOOD_FOR, scope=" ".join(scopes))

    async def load_refresh_token(self, client, refresh_token):
        if refresh_token in self.used:
            self.counts["reused"] += 1
            self.end()
        return self.refresh.get(refresh_token)

    async def exchange_refresh_token(self, client, refresh_token, scopes):
        if refresh_token.token not in self.refresh:
            raise TokenError("invalid_grant")
        self.used[refresh_token.token] = self.refresh.pop(refresh_token.token)
        self.counts["renewed"] += 1
        return self.give(client, scopes, refresh_token.resource)

    async def load_access_token(self, token):
        return self.access.get(token)

    async def revoke_token(self, token):
        self.counts["revoked"] += 1
        self.end()

    def end(self):
        self.access.clear()
        self.refresh.clear()


provider = Provider()
server = MCPServer(
    "tickets", auth_server_provider=provider,
    auth=AuthSettings(
        issuer_url=BASE, resource_server_url=f"{BASE}/mcp", required_scopes=["tools"], validate_token_resource=True,
        client_registration_options=ClientRegistrationOptions(enabled=True, valid_scopes=["tools", "more"], default_scopes=["tools"]),
        revocation_options=RevocationOptions(enabled=True)))


@server.tool()
def who() -> str:
    """Tells for whom it is called."""
    return f"you are {get_access_token().subject}"


@server.custom_route("/test", methods=["GET", "POST"])
async def test(request):
    for what in request.query_params:
        if what == "end":
            provider.end()
        elif what == "forget":
            provider.access.clear()
        elif what == "deny":
            provider.denies = request.query_params[what] == "1"
    return JSONResponse(dict(provider.counts))


logging.disable(logging.INFO)
uvicorn.run(server.streamable_http_app(), host="127.0.0.1", port=PORT, log_level="error")
