"""syncops: a CRM's calendar and Outlook kept in step, and the runbooks that go with it."""

__version__ = "0.1.0"
