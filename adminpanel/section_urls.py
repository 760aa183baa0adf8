"""Addresses of the back-office's sections that are no list of one table's rows."""

from django.urls import path

from adminpanel.sections.cash import cash_page
from adminpanel.sections.insurance import insurance_page
from adminpanel.sections.jobs import jobs_page
from adminpanel.sections.near import near_page
from adminpanel.sections.sources import sources_page
from adminpanel.sections.status import status_page
from adminpanel.sections.trial import trial_balance_page

urlpatterns = [
    path("sections/trial-balance/", trial_balance_page, name="section-trial-balance"),
    path("sections/deposits/", cash_page, name="section-deposits"),
    path("sections/near-liquidation/", near_page, name="section-near-liquidation"),
    path("sections/insurance/", insurance_page, name="section-insurance"),
    path("sections/price-sources/", sources_page, name="section-price-sources"),
    path("sections/status/", status_page, name="section-status"),
    path("sections/jobs/", jobs_page, name="section-jobs"),
]
