"""Figures of several processes become one page."""

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

    assert 'orders_total{market="BTC-USDT",process="web"} 1.0' in page
    assert 'orders_total{market="BTC-USDT",process="exchange"} 2.0' in page
    assert page.count("# TYPE orders_total counter") == 1
    assert 'lag{process="exchange"} 20.0' in page
    assert "_created" not in page
