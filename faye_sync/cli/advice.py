"""What to change where a deployment is wrong: the line, for each proxy that it may be."""

from __future__ import annotations

Cures = dict[str, str]

UPGRADE: Cures = {
    "nginx": "proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; proxy_set_header "
    'Connection "upgrade";',
    "HAProxy": "take out what removes it: http-request del-header Upgrade (or Connection)",
    "Apache": "ProxyPass /path ws://127.0.0.1:8000/path (mod_proxy_wstunnel), or upgrade=websocket",
}
HTTP_VERSION: Cures = {
    "nginx": "proxy_http_version 1.1;",
    "HAProxy": "take out what asks for HTTP/1.0: option httpchk is no way for requests",
    "Apache": "take out SetEnv force-proxy-request-1.0 and proxy-nokeepalive",
}
HOST: Cures = {
    "nginx": "proxy_set_header Host $http_host;",
    "HAProxy": "take out what changes it: http-request set-header Host",
    "Apache": "ProxyPreserveHost On",
}
SILENCE: Cures = {
    "nginx": "proxy_read_timeout 3600s;",
    "HAProxy": "timeout tunnel 1h",
    "Apache": "ProxyTimeout 3600",
}
STREAM_SILENCE: Cures = {**SILENCE, "HAProxy": "timeout server 1h"}
BUFFERING: Cures = {
    "nginx": "proxy_buffering off; and no proxy_ignore_headers X-Accel-Buffering",
    "HAProxy": "no option http-buffer-request, and no filter that waits for the answer's end",
    "Apache": "ProxyPass /path http://127.0.0.1:8000/path flushpackets=on",
}
COMPRESSION: Cures = {
    "nginx": "take text/event-stream out of gzip_types",
    "HAProxy": "take text/event-stream out of compression type",
    "Apache": "SetEnvIf Request_URI ^/path no-gzip=1",
}


def lines_for(cures: Cures, server: str) -> tuple[str, ...]:
    """Choose what to change.

    Args:
        cures: By proxy.
        server: The Server header of an answer, which names the proxy or hides it.

    Returns:
        A line for the proxy that is named, else one for each.
    """
    named = [proxy for proxy in cures if proxy.lower() in server.lower()]
    return tuple(f"{proxy}: {cures[proxy]}" for proxy in named or cures)
