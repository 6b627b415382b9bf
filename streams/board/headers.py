"""Headers of every answer: what a browser may do with it."""

# No inline script or style, nothing from elsewhere, in nobody's frame. Images may be made by the page itself.
_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data: blob:",
        "font-src 'self'",
        "connect-src 'self'",
        "manifest-src 'self'",
        "worker-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
_ALWAYS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "geolocation=(), camera=(), microphone=()",
}


def headers(path: str) -> dict[str, str]:
    """Of the answer to a request of `path`. What is not of the page itself is never stored by any cache."""
    return _ALWAYS | {"Cache-Control": "no-store" if path.startswith("/api/") else "no-cache"}
