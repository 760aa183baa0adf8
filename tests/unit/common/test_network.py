import pytest
from django.test import RequestFactory

from common.asgi import DropUnderscoreHeaders
from common.network import client_ip, limit_key


def request(**meta):
    return RequestFactory().get("/", **{"REMOTE_ADDR": "203.0.113.9", **meta})


class TestClientIp:
    def test_ignores_forwarding_headers_without_a_proxy(self, settings):
        settings.NUM_PROXIES = 0

        asked = request(HTTP_X_FORWARDED_FOR="1.2.3.4", HTTP_X_REAL_IP="1.2.3.4")

        assert client_ip(asked) == "203.0.113.9"

    @pytest.mark.parametrize(
        ("_case", "proxies", "header", "address"),
        [
            ("one proxy", 1, "198.51.100.1", "198.51.100.1"),
            ("a forged entry before it", 1, "1.2.3.4, 198.51.100.1", "198.51.100.1"),
            ("two proxies", 2, "1.2.3.4, 198.51.100.1, 10.0.0.1", "198.51.100.1"),
            ("fewer entries than proxies", 2, "1.2.3.4", "203.0.113.9"),
            ("no address", 1, "evil", "203.0.113.9"),
            ("empty", 1, "", "203.0.113.9"),
        ],
    )
    def test_counts_entries_from_our_own_end(self, settings, _case, proxies, header, address):
        settings.NUM_PROXIES = proxies

        assert client_ip(request(HTTP_X_FORWARDED_FOR=header)) == address

    def test_a_socket_without_an_address(self, settings):
        assert client_ip(request(REMOTE_ADDR="")) == "0.0.0.0"  # noqa: S104

    def test_ipv6_is_counted_by_its_network(self):
        assert limit_key("2001:db8::1") == limit_key("2001:db8::ffff")
        assert limit_key("2001:db8::1") != limit_key("2001:db8:0:1::1")
        assert limit_key("192.0.2.1") == "192.0.2.1"


class TestDropUnderscoreHeaders:
    async def test_drops_them_and_nothing_else(self):
        seen = []

        async def application(scope, receive, send):
            seen.append(scope)

        scope = {
            "type": "http",
            "headers": [(b"x_forwarded_for", b"1.2.3.4"), (b"x-forwarded-for", b"5.6.7.8")],
        }
        await DropUnderscoreHeaders(application)(scope, None, None)

        assert seen[0]["headers"] == [(b"x-forwarded-for", b"5.6.7.8")]
        assert len(scope["headers"]) == 2
