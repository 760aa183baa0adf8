"""Figures of several processes become one page."""

import msgspec
from prometheus_client import CollectorRegistry, Counter, Gauge

from common.metrics import collect
from tradingplatform.metrics import render


def test_page_holds_the_figures_of_every_process_under_its_name() -> None:
    registries = [CollectorRegistry(), CollectorRegistry()]
    for number, registry in enumerate(registries, start=1):
        Counter("orders", "Orders taken.", ["market"], registry=registry).labels("BTC-USDT").inc(
            number
        )
        Gauge("lag", "Commands waiting.", registry=registry).set(number * 10)

    page = render([collect("web", registries[0]), collect("exchange", registries[1])]).decode()

    assert 'orders_total{host="",market="BTC-USDT",pid="",process="web"} 1.0' in page
    assert 'orders_total{host="",market="BTC-USDT",pid="",process="exchange"} 2.0' in page
    assert page.count("# TYPE orders_total counter") == 1
    assert 'lag{host="",pid="",process="exchange"} 20.0' in page
    assert "_created" not in page


def test_two_processes_of_one_kind_have_series_of_their_own() -> None:
    registry = CollectorRegistry()
    Gauge("lag", "Commands waiting.", registry=registry).set(1)
    one = msgspec.structs.replace(collect("web", registry), member="web:left:1")
    other = msgspec.structs.replace(collect("web", registry), member="web:right:1")

    page = render([one, other]).decode()

    assert 'lag{host="left",pid="1",process="web"} 1.0' in page
    assert 'lag{host="right",pid="1",process="web"} 1.0' in page
